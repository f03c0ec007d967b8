"""Networks as QONNX files: QONNX's own executor gives the integers of the model, in every step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from golden.contract.layer import Layer
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import FRAME, AvgPool
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.network_file import write_network
from golden.contract.network.result import Result
from golden.contract.network.upsample import Upsample
from golden.contract.powers import in_lowest_terms
from golden.contract.ranges import Range
from golden.contract.rounding import ROUNDINGS, Rounding
from golden.convert import onnx_writer
from golden.convert.__main__ import main as command
from golden.convert.convert import convert
from golden.convert.export import VERSION, to_qonnx
from golden.convert.onnx_file import read_onnx
from golden.convert.onnx_writer import DOUBLE, FLOAT, INT64, GraphWriter, Tensor
from golden.convert.qonnx_ops import DOMAIN
from golden.convert.qonnx_rounding import Form, Scaled, kind_of, quotient, requantised
from golden.layers import load_network
from golden.layers.random_layer import at_limits, random_layer
from golden.layers.random_network import random_network
from golden.layers.residual import random_resnet
from golden.model.network import network as model
from golden.model.rounding import requantised as rounded
from golden.support.cli import UserError
from tests.support.onnx_models import images, tiny
from tests.support.refusals import refusal
from tests.support.tiers import nightly, seeds, thorough


def frames_of(network: IntegerNetwork, count: int) -> np.ndarray:
    """Random frames, a third of whose elements are the least or the largest of the format."""
    rng, limits = np.random.default_rng(0), network.image.limits
    frames = rng.integers(limits.low, limits.high, (count, *network.image.shape), endpoint=True)
    ends = rng.choice([limits.low, limits.high], frames.shape)
    return np.where(rng.random(frames.shape) < 1 / 3, ends, frames)


def check_equal(network: IntegerNetwork, frames: np.ndarray) -> onnx.ModelProto:
    """`qonnx` executes the file to the integers of every step. Returns the model in it."""
    exported = onnx.ModelProto.FromString(to_qonnx(network, len(frames)).SerializeToString())
    onnx.checker.check_model(exported)
    context = execute_onnx(ModelWrapper(exported), {"image": frames.astype(np.float32)}, return_full_exec_context=True)
    wanted = model.results(network, frames)
    assert set(wanted) == {IMAGE, *(step.name for step in network.steps)}
    for name, own in wanted.items():
        np.testing.assert_array_equal(context[name].reshape(own.shape), own, err_msg=name)
    return exported


def operations(exported: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in exported.graph.node}


@pytest.mark.parametrize("seed", seeds(100, costly=True))
def test_random_networks(seed: int) -> None:
    modes = np.random.default_rng(seed)
    network = random_network(np.random.default_rng([13, seed]), modes=modes, blocks=seed % 2 == 1)
    check_equal(network, frames_of(network, 3))


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        *(pytest.param(name, marks=thorough) for name in ("fashion_mnist_qat4", "resnet8", "resnet8_po2")),
        *(pytest.param(name, marks=nightly) for name in ("fashion_mnist_ptq8", "resnet8_xvolution", "resnet20")),
    ],
)
def test_named_networks(name: str) -> None:
    network = load_network(name)
    exported = check_equal(network, frames_of(network, 2))
    # Shifts alone need no operation that QONNX's readers do not know.
    assert ("Round" in operations(exported)) == (name != "resnet8_po2")


def one_layer(layer: Layer) -> IntegerNetwork:
    c = layer.config
    image = Result(channels=c.in_channels, height=c.height, width=c.width, bits=c.in_bits, signed=c.in_signed)
    builder = NetworkBuilder(image)
    return builder.network(builder.append(LayerStep(name="layer", inputs=(IMAGE,), layer=layer)))


def small_layer(**fields: Any) -> Layer:
    return random_layer(np.random.default_rng(1), out_channels=3, height=5, width=4, **fields)


def test_sums_at_all_limits() -> None:
    """Products of more than 53 bits are int64. Their convolution is beyond what float32 holds, too."""
    fields = {"kernel": 7, "attn_shift": 15, "in_signed": True, "out_bits": 16, "out_signed": True, "relu": False}
    layer = at_limits(small_layer(in_channels=24, **fields), np.ones_like)
    network = one_layer(layer)
    exported = check_equal(network, frames_of(network, 8))
    assert {"Mod", "Div"} <= operations(exported) and "Conv" not in operations(exported)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_quotients(rounding: Rounding) -> None:
    """The integers of both signs around ties, by remainders."""
    values = np.arange(-12, 12)
    x = Tensor("image", values.shape, INT64)
    for shift in (0, 1, 2):
        writer = GraphWriter(x)
        y = quotient(writer, writer.add("Identity", [x]), shift, rounding)
        found = execute_onnx(ModelWrapper(writer.model(y, {}, "")), {"image": values})[y.name]
        np.testing.assert_array_equal(found, rounded(values.copy(), shift, Range(-99, 99), rounding))


@pytest.mark.parametrize(("rounding", "kind"), [("half_even", FLOAT), ("half_up", DOUBLE), ("floor", FLOAT)])
def test_a_half_that_is_added_has_bits(rounding: Rounding, kind: int) -> None:
    """A quotient just below a half is a float32. With a half more it is none."""
    values, shift = np.array([2**24 - 1, 1 - 2**24, 2**23, 0]), 25
    x = Tensor("image", values.shape, FLOAT)
    scaled = Scaled(operands=[x], multipliers=[np.array(1)], shift=shift, largest=2**24 - 1)
    assert kind_of(scaled, rounding) == kind
    writer = GraphWriter(x)
    y = requantised(writer, "y", scaled, Form(bits=2, signed=True, rounding=rounding))
    file = ModelWrapper(writer.model(y, {DOMAIN: VERSION}, ""))
    found = execute_onnx(file, {"image": values.astype(np.float32)})["y"]
    np.testing.assert_array_equal(found, rounded(values.copy(), shift, Range(-2, 1), rounding))


def all_steps() -> IntegerNetwork:
    """Each kind of step but windows of an average, without attention. Each requantised one rounds in another way."""
    rng, image = np.random.default_rng(7), Result(channels=3, height=6, width=8, bits=8, signed=True)
    builder = NetworkBuilder(image)

    def layer(name: str, taken: str, **fields: Any) -> str:
        x = builder.results[taken]
        sizes = {"in_channels": x.channels, "height": x.height, "width": x.width, "attn_offsets": (), "attn_shift": 0}
        form = {"in_bits": x.bits, "in_signed": x.signed, "out_channels": 4, "relu": False, "out_signed": True}
        made = random_layer(rng, **(sizes | form | fields))
        return builder.append(LayerStep(name=name, inputs=(taken,), layer=made))

    stem = layer("stem", IMAGE, rounding="half_up", stride=2)
    deep = layer("deep", stem, rounding="floor", groups=4, kernel=5, out_bits=6)
    form: dict[str, Any] = {"out_bits": 8, "out_signed": True}
    total = builder.append(
        Add(name="sum", inputs=(stem, deep), multipliers=(3001, 0), shift=12, relu=True, rounding="half_up", **form)
    )
    twice = builder.append(Add(name="twice", inputs=(total, total), multipliers=(1, 2), shift=2, relu=False, **form))
    small = builder.append(MaxPool(name="small", inputs=(twice,), kernel=3, stride=2, pad=1))
    large = builder.append(Upsample(name="large", inputs=(small,), factor=2))
    wide = layer("wide", stem, padding="valid", kernel=3, out_bits=8, relu=True)
    wide = builder.append(Upsample(name="wider", inputs=(wide,), factor=2))
    mean = {"kernel": FRAME, "stride": 1, "shift": 16, **form}
    wide = builder.append(AvgPool(name="mean", inputs=(wide,), multiplier=2731, **mean))
    large = builder.append(AvgPool(name="means", inputs=(large,), multiplier=5462, rounding="floor", **mean))
    joined = builder.append(Concat(name="joined", inputs=(wide, large)))
    weight, bias = rng.integers(-7, 7, (5, 8), endpoint=True), rng.integers(-99, 99, 5)
    hidden = Linear(
        name="hidden",
        inputs=(joined,),
        weight_bits=4,
        weight=weight,
        bias=bias,
        multiplier=rng.integers(2**11, 2**12, 5),
        out_shift=14,
        relu=True,
        rounding="half_up",
        **form,
    )
    builder.append(hidden)
    scores = Linear(
        name="scores",
        inputs=("hidden",),
        weight_bits=8,
        weight=rng.integers(-127, 127, (6, 5, 1, 1), endpoint=True),
        bias=rng.integers(-99, 99, 6),
        out_bits=48,
        out_signed=True,
    )
    builder.append(scores.as_narrow_as_its_bound(builder.results["hidden"]))
    return builder.network(builder.append(Argmax(name="answer", inputs=("scores",))))


def in_words(network: IntegerNetwork) -> list[object]:
    """All that steps say, multipliers in lowest terms, and weights of one pixel as those of sums."""
    told: list[object] = []
    for step in network.steps:
        own, arrays = json.loads(json.dumps(step.own_fields())), {k: v.tolist() for k, v in step.arrays().items()}
        config = own.get("config", own)
        multipliers = arrays.get("multiplier", config.get("multiplier", config.get("multipliers")))
        shift = "out_shift" if "out_shift" in config else "shift"
        if multipliers is not None:
            least, config[shift] = in_lowest_terms(np.atleast_1d(np.array(multipliers)), config[shift])
            arrays["multiplier"] = least.tolist()
            config.pop("multiplier", None), config.pop("multipliers", None)
        if isinstance(step, Linear):
            arrays["weight"] = step.weight.reshape(len(step.weight), -1).tolist()
        told.append((step.name, step.op, step.inputs, own, arrays))
    return told


@pytest.mark.parametrize(
    "network",
    [
        all_steps(),
        random_resnet(5, side=8, widths=(4, 6), blocks=(1, 1), classes=5),
        random_resnet(5, side=8, widths=(4, 6), blocks=(1, 1), classes=5, powers_of_two=True),
    ],
    ids=["all steps", "residual", "powers of two"],
)
def test_what_is_read_back_is_the_same(network: IntegerNetwork) -> None:
    frames = frames_of(network, 4)
    converted = convert(check_equal(network, frames), frames.astype(np.float64))
    assert set(converted.bounds.values()) == {0} and converted.changed == 0
    assert {gap.steps for gap in converted.differences.values()} == {0}
    assert in_words(converted.network) == in_words(network)


def test_an_average_of_windows_is_read_back_as_a_layer() -> None:
    builder = NetworkBuilder(Result(channels=2, height=5, width=5, bits=8, signed=True))
    form: dict[str, Any] = {"multiplier": 7282, "shift": 16, "out_bits": 8, "out_signed": True}
    network = builder.network(builder.append(AvgPool(name="mean", inputs=(IMAGE,), kernel=3, stride=1, **form)))
    frames = frames_of(network, 4)
    converted = convert(check_equal(network, frames), frames.astype(np.float64))
    assert [step.op for step in converted.network.steps] == ["layer"]
    assert converted.differences["mean"].steps == 0 and converted.bounds == {"mean": 0}


def test_x_volution_is_not_read_back() -> None:
    with pytest.raises(UserError, match="Pad 'layer/Pad_1': operation Pad is not one of"):
        convert(to_qonnx(one_layer(small_layer(in_channels=2))))


def test_weights_that_no_file_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "MOST_BYTES", 100)
    with pytest.raises(UserError, match=r"the constants have [0-9]+ bytes, an ONNX file has at most 100"):
        to_qonnx(one_layer(small_layer(in_channels=2)))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network, an ONNX file of floats, and images for it."""
    monkeypatch.chdir(tmp_path)
    write_network("net.npz", one_layer(small_layer(in_channels=2)))
    Path("floats.onnx").write_bytes(tiny().SerializeToString())
    np.save("images.npy", images(2, (2, 3, 4)))
    return tmp_path


def test_the_command_writes_what_it_is_given_and_what_it_converts(files: Path) -> None:
    assert command(["net.npz", "--to", "onnx", "--out", "net.onnx"]) == 0
    assert read_onnx(Path("net.onnx")) == to_qonnx(one_layer(small_layer(in_channels=2)))
    assert command(["floats.onnx", "--calibration", "images.npy", "--to", "onnx", "--out", "integers.onnx"]) == 0
    converted = convert(Path("floats.onnx"), np.load("images.npy"))
    assert read_onnx(Path("integers.onnx")) == to_qonnx(converted.network)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "new.npz"], "source net.npz is a network already, allowed with it is --to onnx"),
        (
            ["--to", "onnx", "--bits", "4", "--out", "n"],
            "--bits 4 is for what is converted, source net.npz is a network",
        ),
        (["--to", "onnx", "--out", "net.npz"], "net.npz"),
    ],
)
def test_options_that_do_not_go_together(
    files: Path,
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    refuse = refusal(
        command, lambda: sorted((path, path.stat().st_size) for path in files.iterdir()), monkeypatch, capfd
    )
    assert said in refuse("net.npz", *options)
