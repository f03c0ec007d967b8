"""QONNX files: the integers are those of QONNX's own executor, in every step, or the file is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from golden.contract.scales import to_steps
from golden.convert.convert import convert
from golden.convert.levels import ROUNDING
from golden.convert.onnx_graph import OnnxSource
from golden.convert.onnx_ops import Call
from golden.convert.qonnx_ops import DOMAIN, quant
from golden.convert.report import rows
from golden.model.network.network import run
from golden.support.cli import UserError
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from tests.support import brevitas_networks
from tests.support.conversions import check_exact, check_refused
from tests.support.onnx_models import WEIGHT, classifier, images, model, node
from tests.support.places import ROOT
from tests.support.tiers import nightly

#: Files that Brevitas wrote, see `tests.support.brevitas_networks`.
FILES = ROOT / "tests" / "golden" / "convert" / "brevitas"


class Builder:
    """Nodes of QONNX, and the constants that they take."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: Any) -> str:
        self.constants[name] = np.asarray(value, np.float32)
        return name

    def add(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(node(op, inputs, name, **attributes))
        return name

    def quant(self, x: str, name: str, scale: Any, bits: float = 8, op: str = "Quant", **attributes: Any) -> str:
        attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
        zero = self.constant(f"{name}_zero", attributes.pop("zero", 0))
        inputs = [x, self.constant(f"{name}_scale", scale), zero, self.constant(f"{name}_bits", bits)]
        return self.add(op, inputs, name, domain=DOMAIN, **attributes)

    def weight(self, name: str, values: np.ndarray, scale: Any, bits: int = 4, **attributes: Any) -> str:
        return self.quant(self.constant(name, values), f"{name}_q", scale, bits, **{"narrow": 1, **attributes})

    def trunc(
        self, x: str, name: str, scale: float, in_bits: int, out_bits: int, out_scale: float | None = None, **how: Any
    ) -> str:
        """Of version 2 where it has a scale of its result."""
        values = {"scale": scale, "zero": how.pop("zero", 0), "in": in_bits, "out_scale": out_scale, "out": out_bits}
        names = [self.constant(f"{name}_{key}", value) for key, value in values.items() if value is not None]
        if out_scale is not None:
            how = {"signed": 1, "narrow": 0, **how}
        return self.add("Trunc", [x, *names], name, domain=DOMAIN, **how)

    def model(self, batch: int | str = "n", output: str = "y", version: int = 2) -> onnx.ModelProto:
        return model(self.nodes, self.constants, shape=(batch, 2, 8, 8), domains={DOMAIN: version}, output=output)


def powers(shape: Sequence[int], low: int, high: int, seed: int) -> np.ndarray:
    """Random powers of two."""
    return 2.0 ** np.random.default_rng(seed).integers(low, high + 1, shape)


def network() -> Builder:
    """Each kind of step, with scales that are powers of two, so small that much saturates and rounds at ties."""
    rng, b = np.random.default_rng(5), Builder()

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    x = b.quant("x", "x_q", 2.0**-5)
    w = b.weight("w", normal(4, 2, 3, 3), powers((4, 1, 1, 1), -4, -2, 6), rounding_mode="FLOOR")
    bias = b.quant(b.constant("b", normal(4)), "b_q", 2.0**-11, 16)
    stem = b.add("Conv", [x, w, bias], "stem", strides=[2, 2], pads=[1] * 4)
    # A batch norm of powers of two, one of them negative, one 0.
    norm = {"gamma": [2, -1, 0.5, 0], "beta": [0.5, 0.25, -1, 0.75], "mean": [0, 0.5, 0, 1], "var": [0.25, 1, 4, 1]}
    names = [b.constant(name, values) for name, values in norm.items()]
    stem = b.add("BatchNormalization", [stem, *names], "norm", epsilon=0.0)
    stem = b.quant(b.add("Relu", [stem], "relu"), "stem_q", 2.0**-4, signed=0, rounding_mode="HALF_EVEN")
    # Weights of -8 in 4 bits need 5 here.
    w2 = b.weight("w2", normal(4, 1, 3, 3) * 3, 0.5, 4, narrow=0, rounding_mode="half_up", op="IntQuant")
    deep = b.quant(b.add("Conv", [stem, w2], "deep", group=4, pads=[1] * 4), "deep_q", 2.0**-3, 6)
    other = b.quant(stem, "other", 2.0**-3, 6)
    total = b.quant(b.add("Add", [deep, other], "sum"), "sum_q", 2.0**-2, 7)
    small = b.quant(b.add("MaxPool", [total], "max", kernel_shape=[2, 2], strides=[2, 2]), "max_q", 2.0**-1, 4)
    small = b.add("Resize", [small, "", "factors"], "up", mode="nearest", nearest_mode="floor")
    b.nodes[-1].attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    b.constant("factors", [1, 1, 2, 2])
    same = b.quant(total, "same", 2.0**-1, 4)
    joined = b.add("Concat", [small, same], "joined", axis=1)
    mean = b.quant(b.add("AveragePool", [joined], "mean4", kernel_shape=[2, 2], strides=[2, 2]), "mean_q", 2.0**-2, 5)
    b.constants["shape"] = np.array([0, -1])
    flat = b.add("Reshape", [mean, "shape"], "flat")
    hidden = b.add("MatMul", [flat, b.weight("w3", normal(32, 4), powers((1, 4), -3, -2, 7), 3)], "hidden")
    hidden = b.quant(b.add("Relu", [hidden], "hidden_relu"), "hidden_q", 2.0**-2, 4, signed=0)
    w4 = b.add("BipolarQuant", [b.constant("w4", normal(3, 4)), b.constant("w4_scale", 0.5)], "w4_q", domain=DOMAIN)
    b.add("Gemm", [hidden, w4, b.constant("b4", [0.5, -1, 0.25])], "y", transB=1)
    return b


@pytest.mark.parametrize("batch", ["n", 1])
def test_every_step_is_equal(batch: int | str) -> None:
    converted = convert(network().model(batch), 3 * images(4, (2, 8, 8)))
    # The source rounds behind the maximum, the network before it.
    check_exact(converted, but=["max_q_node"])
    assert set(converted.bounds.values()) == {0}
    steps = {step.name: step for step in converted.network.steps}
    assert [step.op for step in steps.values()] == [
        *("layer", "layer", "layer", "add", "layer", "max_pool", "upsample", "layer", "concat", "avg_pool"),
        *("linear", "linear"),
    ]
    assert steps["stem_node"].layer.config.relu
    assert steps["deep_node"].layer.config.weight_bits == 5
    assert steps["hidden_node"].relu and steps["y_node"].raw


def test_roundings_of_results() -> None:
    """Each kind of step that rounds, down and, where nothing is below 0, half up. Ties are frequent."""
    b = Builder()
    x = b.quant("x", "x_q", 2.0**-3, 5)
    w = b.weight("w", WEIGHT, 0.5)
    stem = b.quant(b.add("Conv", [x, w], "c", pads=[1] * 4), "stem_q", 0.25, rounding_mode="FLOOR")
    up = b.quant(stem, "up", 0.5, 7, signed=0, rounding_mode="HALF_UP")
    total = b.quant(b.add("Add", [stem, up], "sum"), "sum_q", 1.0, 7, rounding_mode="FLOOR")
    mean = b.add("AveragePool", [total], "mean", kernel_shape=[2, 2], strides=[2, 2])
    mean = b.quant(mean, "mean_q", 0.5, 6, signed=0, rounding_mode="HALF_UP")
    b.constants["shape"] = np.array([0, -1])
    flat = b.add("Reshape", [mean, "shape"], "flat")
    w2 = b.weight("w2", np.random.default_rng(1).standard_normal((64, 3)), 0.25, 3)
    b.quant(b.add("MatMul", [flat, w2], "m"), "y", 4.0, 8, rounding_mode="FLOOR")
    converted = convert(b.model(), 3 * images(4, (2, 8, 8)))
    check_exact(converted)
    assert set(converted.bounds.values()) == {0}
    fields = [step.own_fields() for step in converted.network.steps]
    found = [own.get("config", own).get("rounding") for own in fields]
    assert found == ["floor", "half_up", "floor", "half_up", "floor"]


def test_a_residual_graph_has_no_cycle() -> None:
    """Blocks whose both ways are scaled, as files have it whose scales were moved. The sum of one is added in the next.

    It becomes hardware that costs its slowest step.
    """
    b = Builder()
    x = b.quant(b.add("Conv", [b.quant("x", "x_q", 2.0**-3), b.weight("w", WEIGHT, 0.5)], "stem", pads=[1] * 4), "s", 1)
    for block, factors in enumerate([(0.5, 2.0), (1.25, 0.375)]):
        name = f"b{block}"
        weight = b.weight(f"{name}_w", np.random.default_rng(block).standard_normal((4, 4, 3, 3)), 0.25)
        way = b.quant(b.add("Conv", [x, weight], f"{name}_c", pads=[1] * 4), f"{name}_q", 2.0)
        ways = [(way, factors[0]), (x, factors[1])]
        scaled = [b.add("Mul", [own, b.constant(f"f{own}", by)], f"m{own}") for own, by in ways]
        x = b.quant(b.add("Add", scaled, f"{name}_a"), f"sum{block}", 1)
    b.add("Relu", [x], "y")
    converted = convert(b.model(), images(3, (2, 8, 8)))
    check_exact(converted)
    network = converted.network
    assert [step.op for step in network.steps] == ["layer", "layer", "add", "layer", "add"]
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 4)))
    assert plan.schedule.interval == plan.ideal_frame_cycles


@pytest.mark.parametrize("zeros", [(0, 0), (1, 3), (-4, 6), (2, -128)])
def test_zero_points(zeros: tuple[int, int]) -> None:
    """Of results that no padding sees. QONNX rounds with them, so that an odd one makes ties odd."""
    b = Builder()
    x = b.quant("x", "x_q", 0.5, zero=128, signed=0)
    c = b.quant(b.add("Conv", [x, b.weight("w", WEIGHT, 0.25)], "c"), "c_q", 0.25, zero=zeros[0])
    v = b.weight("v", np.random.default_rng(3).standard_normal((3, 4, 1, 1)), powers((3, 1, 1, 1), -3, -1, 8))
    b.quant(b.add("Conv", [c, v], "d"), "y", 0.5, zero=zeros[1])
    converted = convert(b.model(), 3 * images(4, (2, 8, 8)))
    check_exact(converted, but=[step.name for step in converted.network.steps if step.name.endswith("_plain")])
    assert set(converted.bounds.values()) == {0}
    assert converted.held["c_node"].zero == zeros[0]


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND"])
@pytest.mark.parametrize("version", [1, 2])
def test_truncs_that_drop_bits(version: int, mode: str) -> None:
    """Of a mean and of a result. Their scales are thirds in floats of 32 bits, of which whole numbers are meant.

    Version 1 leaves the scale as it was. So what it gives is less, by a power of two.
    """
    b = Builder()
    x = b.quant("x", "x_q", 0.5, 6)
    mean = b.add("AveragePool", [x], "mean", kernel_shape=[3, 3], strides=[1, 1])
    scale = np.float32(0.5) / np.float32(9)
    if version == 1:
        sums = b.add("Mul", [mean, b.constant("nine", 9)], "sums")
        small = b.trunc(sums, "small", 0.5, 10, 7, rounding_mode=mode)
        y = b.trunc(small, "y", 0.5, 7, 4, rounding_mode="FLOOR")
    else:
        small = b.trunc(mean, "small", scale, 10, 6, 16 * scale, rounding_mode=mode)
        y = b.trunc(small, "y", 16 * scale, 6, 4, 64 * scale, rounding_mode="FLOOR")
    converted = convert(b.model(output=y, version=version), 3 * images(8, (2, 8, 8)))
    assert {gap.unequal for gap in converted.differences.values()} == {0}
    assert max(gap.steps for gap in converted.differences.values()) < 1e-6  # as floats of 32 bits have its steps
    assert set(converted.bounds.values()) == {0}
    pool, layer = converted.network.steps
    assert (pool.op, layer.op, pool.multiplier) == ("avg_pool", "layer", 1)
    assert pool.rounding == ("floor" if mode == "FLOOR" else "half_even")
    assert layer.layer.config.rounding == "floor"
    assert pool.scale == pytest.approx(0.5 if version == 1 else 16 * scale)


def test_without_images_nothing_is_compared() -> None:
    converted = convert(network().model())
    assert not converted.differences and converted.changed is None and converted.bounds


def test_float_scales_are_off_by_less_than_a_step() -> None:
    """Ratios of such scales are no multipliers of 16 bits. How near these are is proven, and holds."""
    b = Builder()
    x = b.quant("x", "x_q", 0.031)
    w = b.weight("w", WEIGHT, np.array([0.11, 0.07, 0.3, 0.09]).reshape(4, 1, 1, 1), 5)
    y = b.add("Conv", [x, w, b.constant("b", [0.1, 0.2, -0.3, 0.4])], "c", pads=[1] * 4)
    b.quant(y, "y", 0.053, 7)
    converted = convert(b.model(), images(8, (2, 8, 8)))
    (bound,) = converted.bounds.values()
    assert 0 < bound < 0.01
    assert converted.differences["c_node"].steps <= 1.00001  # the source's scale is rounded to 32 bits
    assert converted.differences["c_node"].unequal < 0.01
    # Before it rounds and saturates, the source has this.
    network, source = converted.network, OnnxSource(b.model()).graph.by_name["c"].op
    x_steps = to_steps(images(8, (2, 8, 8)), network.image.scale, network.image.limits)
    taken = torch.from_numpy(x_steps * network.image.scale)
    real = torch.conv2d(taken, *map(torch.from_numpy, (source.weight, source.bias)), padding=1).numpy()
    limits, scale = network.output_result.limits, network.output_result.scale
    gap = np.abs(run(network, x_steps) - np.clip(real / scale, limits.low, limits.high)).max()
    assert 0.49 < gap <= 0.5 + bound


@pytest.mark.parametrize("bits", [4, 8])
def test_a_float_bias_costs_less_than_the_multiplier(bits: int) -> None:
    """A batch norm leaves a bias that is no multiple of an accumulator's step."""

    def bound(bias: Sequence[float]) -> float:
        b = Builder()
        w = b.weight("w", WEIGHT, 0.3, bits)
        y = b.add("Conv", [b.quant("x", "x_q", 0.31, bits), w, b.constant("b", bias)], "c", pads=[1] * 4)
        b.quant(y, "y", 4.7, bits)
        (found,) = convert(b.model()).bounds.values()
        return found

    assert bound([0.1, 0.2, -0.3, 0.4]) < bound([0.0] * 4) + 2.0**-12


@nightly
@pytest.mark.parametrize("name", [*brevitas_networks.FILES, brevitas_networks.MEANS])
def test_brevitas_writes_such_files(name: str, tmp_path: Path) -> None:
    check_file(brevitas_networks.write(tmp_path, name))


@nightly
@pytest.mark.parametrize("name", [name for name in brevitas_networks.FILES if "po2" in name])
def test_brevitas_writes_pairs(name: str, tmp_path: Path) -> None:
    """The same networks as nodes of ONNX's own: integers of fewer bits than 8 have limits there."""
    path = brevitas_networks.write(tmp_path, name, pairs=True)
    check_exact(convert(path, images(6, (2, 6, 6))))


@pytest.mark.parametrize("name", [*brevitas_networks.FILES, brevitas_networks.MEANS])
def test_files_of_brevitas(name: str) -> None:
    check_file(FILES / name)


def check_file(path: Path) -> None:
    """A file of Brevitas, by whose name its scales are known."""
    name, converted = path.name, convert(path, images(6, (2, 6, 6)))
    if "po2" in name:
        check_exact(converted)
    elif name == brevitas_networks.MEANS:
        pools = [step for step in converted.network.steps if step.op == "avg_pool"]
        assert [(pool.multiplier, pool.rounding) for pool in pools] == [(1, "floor"), (1, "half_even")]
        assert set(converted.bounds.values()) == {0}
        assert {gap.unequal for gap in converted.differences.values()} == {0}
    else:
        assert all(0 <= bound < 0.3 for bound in converted.bounds.values())
        assert converted.changed == 0
        assert all(gap.unequal < 0.02 for step, gap in converted.differences.items() if step != "l_Gemm")


@pytest.mark.parametrize("mode", ROUNDING)
@pytest.mark.parametrize(("signed", "narrow"), [(1, 0), (1, 1), (0, 1)])
def test_constants_round_as_qonnx_does(mode: str, signed: int, narrow: int) -> None:
    from qonnx.custom_op.general.intquant import int_quant

    values = np.arange(-40, 41).reshape(9, 9).astype(np.float32) / 8
    scale = np.array(np.linspace(0.3, 1, 9)[:, None], np.float32)
    scale[4] = 0.5
    call = Call(opset=17, batch=1, outputs=1, attributes={"signed": signed, "narrow": narrow, "rounding_mode": mode})
    made = quant(call, values, scale, np.zeros(()), np.array(3.0))
    wanted = int_quant(values, scale, np.float32(0), np.float32(3), signed, narrow, mode)
    np.testing.assert_array_equal((made.values).astype(np.float32), wanted)


def image_quant(**options: Any) -> Callable[[], onnx.ModelProto]:
    """A convolution of an image that is quantised with ``options``."""

    def made() -> onnx.ModelProto:
        b = Builder()
        b.quant(
            b.add("Conv", [b.quant("x", "x_q", **{"scale": 0.5, **options}), b.weight("w", WEIGHT, 0.5)], "c"), "y", 1
        )
        return b.model()

    return made


def result_quant(**options: Any) -> Callable[[], onnx.ModelProto]:
    def made() -> onnx.ModelProto:
        b = Builder()
        conv = b.add("Conv", [b.quant("x", "x_q", 0.5), b.weight("w", WEIGHT, 0.5)], "c")
        b.quant(conv, "y", **{"scale": 1, **options})
        return b.model()

    return made


def weight_quant(values: np.ndarray = WEIGHT, **options: Any) -> Callable[[], onnx.ModelProto]:
    def made() -> onnx.ModelProto:
        b = Builder()
        w = b.weight("w", values, **{"scale": 0.5, **options})
        b.quant(b.add("Conv", [b.quant("x", "x_q", 0.5), w], "c"), "y", 1)
        return b.model()

    return made


def of(build: Callable[[Builder, str], object]) -> Callable[[], onnx.ModelProto]:
    """What ``build`` makes of a quantised image."""

    def made() -> onnx.ModelProto:
        b = Builder()
        build(b, b.quant("x", "x_q", 0.5))
        return b.model()

    return made


def missing(attribute: str) -> Callable[[], onnx.ModelProto]:
    def made() -> onnx.ModelProto:
        source = result_quant()()
        attributes = source.graph.node[-1].attribute
        kept = [own for own in attributes if own.name != attribute]
        del attributes[:]
        attributes.extend(kept)
        return source

    return made


def trunc(build: Callable[[Builder, str], str] = lambda b, x: x, **how: Any) -> Callable[[], onnx.ModelProto]:
    """A Trunc of what ``build`` makes of an image in steps of 0.5."""
    how = {"scale": 0.5, "in_bits": 8, "out_bits": 6, "out_scale": 2.0, "rounding_mode": "FLOOR", **how}
    return of(lambda b, x: b.trunc(build(b, x), "y", **how))


def sums(b: Builder, x: str) -> str:
    return b.add("Conv", [x, b.weight("w", WEIGHT, 0.5)], "c")


def without_weight(b: Builder, x: str) -> None:
    b.quant(b.add("Conv", [x, b.constant("w", WEIGHT)], "c"), "y", 1)


def large_bias(b: Builder, x: str) -> None:
    b.quant(b.add("Conv", [x, b.weight("w", WEIGHT, 0.5), b.constant("b", [1e12] * 4)], "c"), "y", 1)


def unquantised(b: Builder, x: str) -> None:
    c = b.add("Conv", [x, b.weight("w", WEIGHT, 0.5)], "c", pads=[1] * 4)
    b.quant(b.add("Conv", [c, b.weight("v", np.ones((3, 4, 1, 1)), 0.5)], "d"), "y", 1)


def two_scales(b: Builder, x: str) -> None:
    b.add("Concat", [x, b.quant(x, "z", 0.25)], "y", axis=1)


def relu6(b: Builder, x: str) -> None:
    c = b.add("Conv", [x, b.weight("w", WEIGHT, 0.5)], "c")
    b.quant(b.add("Clip", [c, b.constant("low", 0), b.constant("high", 6)], "l"), "y", 2.0**-5, signed=0)


def relu6_alone(b: Builder, x: str) -> None:
    c = b.add("Clip", [x, b.constant("low", 0), b.constant("high", 6)], "l")
    b.quant(b.add("Conv", [c, b.weight("w", WEIGHT, 0.5)], "c"), "y", 1)


def image_twice(b: Builder, x: str) -> None:
    b.add("Add", [x, "x"], "y")


def no_inputs(b: Builder, x: str) -> None:
    b.add("Quant", [x], "y", domain=DOMAIN, signed=1, narrow=0)


ONES = np.ones((4, 2, 3, 3))
#: Models that are refused, and what the one line says.
REFUSED: Mapping[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "rounding": (result_quant(rounding_mode="DOWN"), "Quant 'y_node': rounding_mode DOWN of a result is not allowed"),
    "rounding_away_from_0": (result_quant(rounding_mode="HALF_UP"), "rounding_mode HALF_UP of a signed result is not"),
    "rounding_of_image": (image_quant(rounding_mode="FLOOR"), "rounding floor of the image is not allowed"),
    "unknown_rounding": (weight_quant(rounding_mode="NEAREST"), "rounding_mode NEAREST is not one of ROUND, HALF_EVEN"),
    "fractional_zero_point": (result_quant(zero=0.5), "zeropt 0.5 is not allowed, allowed is an integer from -128 to"),
    "zero_points_of_channels": (result_quant(zero=[[[1]], [[2]]]), "zeropt [[[1.0]], [[2.0]]] is not allowed"),
    "zero_point_of_image": (image_quant(zero=3), "zero point 3 of the image is not allowed, allowed are those at"),
    "zero_point_of_weight": (weight_quant(zero=-1), "zeropt -1 is not allowed, allowed is 0"),
    "narrow_result": (result_quant(narrow=1), "narrow 1 of a result is not allowed (-127 to 127), allowed is 0"),
    "narrow_image": (image_quant(narrow=1, signed=0), "narrow 1 of a result is not allowed (0 to 254)"),
    "narrow_unsaid": (missing("narrow"), "narrow None is not allowed, allowed are 0 and 1, said explicitly"),
    "signed_unsaid": (missing("signed"), "signed None is not allowed"),
    "channels_of_result": (
        result_quant(scale=[[[1]], [[1]], [[1]], [[2]]]),
        "scale has shape [4, 1, 1], allowed is one",
    ),
    "scale_within_channel": (weight_quant(scale=np.full((4, 2, 1, 1), [[[0.5]], [[1]]])), "differs within an output"),
    "scale_of_zero": (result_quant(scale=0), "scale 0 is not allowed, allowed is above 0"),
    "negative_scale": (weight_quant(scale=-0.5), "scale -0.5 is not allowed"),
    "scale_of_nan": (result_quant(scale=np.nan), "scale has a value that is NaN or infinite"),
    "one_bit": (result_quant(bits=1), "bitwidth 1 of a result is not allowed, allowed are 2 to 16"),
    "many_bits": (result_quant(bits=17), "bitwidth 17 of a result is not allowed"),
    "half_a_bit": (result_quant(bits=3.5), "bitwidth 3.5 is not allowed, allowed is an integer from 1 to 32"),
    "image_of_16_bits": (image_quant(bits=16), "input bits 16 is not an integer from 2 to 8"),
    "lowest_weight": (weight_quant(-ONES * 128, scale=1, bits=8, narrow=0), "weight reaches a magnitude of 128 steps"),
    "wide_weight": (weight_quant(ONES * 300, scale=1, bits=16), "weight reaches a magnitude of 300 steps"),
    "weight_of_nan": (weight_quant(ONES * np.nan), "x has a value that is NaN or infinite"),
    "coarse": (result_quant(scale=1e-6), "a step of what it takes is 250000 steps of its result, allowed are 65535"),
    "large_bias": (of(large_bias), "bias reaches 4e+12 steps of its sums, allowed are 2147483647"),
    "float_weight": (of(without_weight), "weight is not quantised, allowed is a Quant of it"),
    "float_result": (of(unquantised), "Conv 'c_node': its result is not quantised, allowed is a Quant or a"),
    "two_scales": (of(two_scales), "joins results of scales 0.5, 0.25, allowed is one for all"),
    "limit_within_format": (of(relu6), "a limit of 6 is below 7.96875, where its format ends"),
    "limit_that_nothing_quantises": (
        of(relu6_alone),
        "Clip 'l_node': a limit of 6 is below 63.5, where its format ends",
    ),
    "float_image": (of(image_twice), "the image 'x' goes to Quant 'x_q_node', Add 'y_node', allowed is one Quant"),
    "trunc_of_another_scale": (
        trunc(scale=0.375, out_scale=1.5),
        "takes steps of 0.5, allowed are whole numbers of 0.375, its scale",
    ),
    "trunc_of_sums": (trunc(sums, scale=0.25), "drops bits of sums, allowed is a Trunc of means, or of what a Quant"),
    "trunc_up": (trunc(rounding_mode="CEIL"), "rounding_mode CEIL of a result is not allowed, allowed are ROUND"),
    "trunc_with_a_zero_point": (trunc(zero=4), "zeropt 4 is not allowed, allowed is 0"),
    "trunc_that_overflows": (
        trunc(in_bits=6, out_bits=4, out_scale=None),
        "gives -32 to 31, which 4 bits do not hold, and does not saturate",
    ),
    "bipolar_result": (
        of(lambda b, x: b.add("BipolarQuant", [x, b.constant("s", 1)], "y", domain=DOMAIN)),
        "BipolarQuant 'y_node': makes a result of 1 bit",
    ),
    "unknown": (
        of(lambda b, x: b.add("FloatQuant", [x], "y", domain=DOMAIN)),
        "operation FloatQuant is not one of Quant",
    ),
    "too_few_inputs": (of(no_inputs), "takes 1 inputs, which Quant does not allow"),
    "unknown_attribute": (result_quant(per_channel=1), "attribute 'per_channel' 1 is not known"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    made, message = REFUSED[name]
    check_refused(lambda: convert(made()), message)


def test_lowest_weights_are_clipped_where_it_is_asked_for() -> None:
    """That they are is said. All others stay as they are."""
    values = np.random.default_rng(4).integers(-127, 128, WEIGHT.shape)
    values[1, 0, 2, 2] = values[3, 1, 0, 0] = -128
    converted = convert(weight_quant(values, scale=1, bits=8, narrow=0)(), images(4, (2, 8, 8)), clip_weights=True)
    (step,) = converted.network.steps
    np.testing.assert_array_equal(step.layer.conv_weight, np.maximum(values, -127))
    assert converted.clipped == {"c_node": 2} and converted.differences["c_node"].steps > 0
    (said,) = [cells[2] for cells in rows(converted) if cells[0] == "c_node"]
    assert said == "layer, 3x3, valid, weights 8 bit, -128 became -127 in 2 of its weights"
    with pytest.raises(UserError, match="clip_weights is for quantised sources"):
        convert(classifier(), images(), clip_weights=True)


def test_a_trunc_that_drops_nothing() -> None:
    source = of(lambda b, x: b.quant(b.trunc(x, "t", 0.5, 8, 8, 0.5, rounding_mode="FLOOR"), "y", 1))()
    converted = convert(source, images(2, (2, 8, 8)))
    check_exact(converted)
    assert [step.name for step in converted.network.steps] == ["y_node"]


def means(b: Builder, x: str) -> None:
    flat = b.add("Flatten", [b.add("GlobalAveragePool", [x], "p")], "f")
    b.add("Gemm", [flat, b.weight("w", np.ones((2, 3)), 0.5)], "y")


def test_scores_of_means_that_nothing_quantises() -> None:
    """The linear map takes sums, so that a mean of 64 pixels is exact."""
    converted = convert(of(means)(), images(2, (2, 8, 8)))
    check_exact(converted)
    assert [step.op for step in converted.network.steps] == ["linear"]


def test_fewer_bits_of_the_same_steps_saturate() -> None:
    """Only a Quant whose limits hold all that its input can be changes nothing."""
    source = of(lambda b, x: b.quant(b.quant(x, "kept", 0.5, 8), "y", 0.5, 3))()
    converted = convert(source, 5 * images(2, (2, 8, 8)))
    check_exact(converted)
    assert [step.name for step in converted.network.steps] == ["kept_node"]


@pytest.mark.parametrize(("name", "value"), [("bits", 4), ("scales", "po2"), ("method", "mse")])
def test_options_of_float_networks(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{name} {value} is for float networks"):
        convert(network().model(), **{name: value})
