"""Network files: round trip, and every refusal by the name of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.fields import LayerError
from golden.contract.network.linear import Linear
from golden.contract.network.network import IMAGE
from golden.contract.network.network_file import config_text, network_bytes, read_network, write_network
from golden.contract.network.ops import STEPS
from golden.contract.network.result import Result
from golden.layers.random_network import random_network
from golden.model.network import network as model
from tests.support.networks import extreme_frames
from tests.support.refusals import file_refused
from tests.support.tiers import seeds

LAYER: dict[str, Any] = {
    "product": "hadamard",
    "in_channels": 2,
    "out_channels": 2,
    "height": 5,
    "width": 6,
    "kernel": 3,
    "stride": 1,
    "padding": "same",
    "groups": 1,
    "attn_offsets": [[0, 1]],
    "in_bits": 8,
    "in_signed": False,
    "weight_bits": 8,
    "out_bits": 8,
    "out_signed": False,
    "relu": True,
    "attn_shift": 2,
    "out_shift": 12,
}
RAW = {"name": "scores", "op": "linear", "inputs": ["mean"], "weight_bits": 8, "out_bits": 20, "out_signed": True}
REQUANTISED = RAW | {"out_bits": 9, "out_shift": 7, "relu": False}


def config() -> dict[str, Any]:
    """A network with every op, as its file says it."""
    return {
        "format": 1,
        "kind": "network",
        "input": {"channels": 2, "height": 5, "width": 6, "bits": 8, "signed": False, "scale": 0.5},
        "steps": [
            {"name": "conv", "op": "layer", "inputs": ["input"], "config": dict(LAYER), "scale": 0.25},
            {
                "name": "sum",
                "op": "add",
                "inputs": ["conv", "input"],
                "multipliers": [3, 65535],
                "shift": 10,
                "out_bits": 8,
                "out_signed": True,
                "relu": False,
            },
            {"name": "both", "op": "concat", "inputs": ["sum", "sum"]},
            {"name": "large", "op": "max_pool", "inputs": ["both"], "kernel": 3, "stride": 2, "pad": 1},
            {"name": "wide", "op": "upsample", "inputs": ["large"], "factor": 2},
            {
                "name": "mean",
                "op": "avg_pool",
                "inputs": ["wide"],
                "kernel": "frame",
                "stride": 1,
                "multiplier": 300,
                "shift": 12,
                "out_bits": 8,
                "out_signed": True,
            },
            dict(RAW),
            {"name": "digit", "op": "argmax", "inputs": ["scores"]},
        ],
        "output": "digit",
    }


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "conv.conv_weight": rng.integers(-127, 128, (2, 2, 3, 3)),
        "conv.attn_weight": rng.integers(-127, 128, (2, 2, 1)),
        "conv.bias": rng.integers(-1000, 1000, 2),
        "conv.multiplier": rng.integers(1, 65536, 2),
        "scores.weight": rng.integers(-127, 128, (10, 4)),
        "scores.bias": rng.integers(-1000, 1000, 10),
    }


def step(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return next(text for text in fields["steps"] if text["name"] == name)


def save(path: Path, fields: Any, **changes: np.ndarray | None) -> Path:
    """A network file with changed arrays; an array changed to None is left out."""
    content = arrays() | changes
    np.savez(path, config=json.dumps(fields), **{name: value for name, value in content.items() if value is not None})
    return path


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    fields = config()
    change(fields)
    return fields


refused = partial(file_refused, read_network, "network")


# --- what is accepted ---


def test_every_op_is_read(tmp_path: Path) -> None:
    network = read_network(save(tmp_path / "n.npz", config()))
    assert {step.op for step in network.steps} == set(STEPS)
    assert {name: result.shape for name, result in network.results.items()} == {
        "input": (2, 5, 6),
        "conv": (2, 5, 6),
        "sum": (2, 5, 6),
        "both": (4, 5, 6),
        "large": (4, 3, 3),
        "wide": (4, 6, 6),
        "mean": (4, 1, 1),
        "scores": (10, 1, 1),
        "digit": (1, 1, 1),
    }
    assert (network.output_result.bits, network.output_result.signed) == (4, False)
    assert json.loads(config_text(network)) == config()


def test_scales_reach_the_layer(tmp_path: Path) -> None:
    network = read_network(save(tmp_path / "n.npz", config()))
    layer = network.steps[0].layer  # type: ignore[attr-defined]
    assert (layer.config.in_scale, layer.config.out_scale) == (0.5, 0.25)


@pytest.mark.parametrize("seed", seeds(20))
def test_round_trip(seed: int, tmp_path: Path) -> None:
    written = random_network(np.random.default_rng(seed), modes=np.random.default_rng(seed))
    write_network(tmp_path / "n.npz", written)
    read = read_network(tmp_path / "n.npz")
    assert network_bytes(read) == network_bytes(written), f"seed {seed}"
    frames = extreme_frames(written, 2, seed)
    np.testing.assert_array_equal(model.run(read, frames), model.run(written, frames), err_msg=f"seed {seed}")


# --- what is refused ---

CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, ...]]] = {
    "format": (lambda f: f.update(format=2), ("format 2 is not 1",)),
    "kind": (lambda f: f.update(kind="layer"), ("kind 'layer' is not 'network'",)),
    "unknown field": (lambda f: f.update(colour=1), ("config field 'colour' is unknown",)),
    "missing output": (lambda f: f.pop("output"), ("config field output is missing",)),
    "output not a step": (lambda f: f.update(output="input"), ("output 'input' is not a step",)),
    "steps not a list": (lambda f: f.update(steps={"a": 1}), ("steps", "not a list")),
    "image too large": (lambda f: f["input"].update(height=4097), ("input height 4097", "1 to 4096")),
    "image height true": (lambda f: f["input"].update(height=True), ("input height True",)),
    "image bits": (lambda f: f["input"].update(bits=9), ("input bits 9", "2 to 8")),
    "image sign": (lambda f: f["input"].update(signed=1), ("input signed 1",)),
    "image scale": (lambda f: f["input"].update(scale=0), ("input scale 0",)),
    "image field": (lambda f: f["input"].update(mean=0), ("config field 'mean' is unknown",)),
    "name missing": (lambda f: step(f, "sum").pop("name"), ("step name None",)),
    "name is the image": (lambda f: step(f, "sum").update(name="input"), ("'input' is taken",)),
    "name with a dash": (lambda f: step(f, "sum").update(name="a-b"), ("'a-b' is not allowed",)),
    "name not ASCII": (lambda f: step(f, "sum").update(name="ä"), ("is not allowed",)),
    "name too long": (lambda f: step(f, "sum").update(name="a" * 65), ("at most 64",)),
    "name with a line end": (lambda f: step(f, "sum").update(name="a\n"), ("is not allowed",)),
    "name twice": (lambda f: step(f, "large").update(name="both", inputs=["sum"]), ("'both' is there twice",)),
    "op": (lambda f: step(f, "sum").update(op="sub"), ("step 'sum': op 'sub' is not one of layer, add",)),
    "op missing": (lambda f: step(f, "sum").pop("op"), ("step 'sum': config field op is missing",)),
    "inputs missing": (lambda f: step(f, "sum").pop("inputs"), ("config field inputs is missing",)),
    "inputs a name": (lambda f: step(f, "sum").update(inputs="conv"), ("inputs 'conv' are not a list",)),
    "later input": (lambda f: step(f, "sum").update(inputs=["both", "conv"]), ("input 'both' is not an earlier",)),
    "unknown input": (lambda f: step(f, "sum").update(inputs=["conv", 7]), ("input 7 is not an earlier",)),
    "one input of an add": (lambda f: step(f, "sum").update(inputs=["conv"]), ("inputs are 1, add takes 2",)),
    "one input of a concat": (lambda f: step(f, "both").update(inputs=["sum"]), ("concat takes 2 to 8",)),
    "nine inputs": (lambda f: step(f, "both").update(inputs=["sum"] * 9), ("inputs are 9",)),
    "result not taken": (lambda f: step(f, "sum").update(inputs=["conv", "conv"]) or f["steps"].insert(
        1, {"name": "idle", "op": "upsample", "inputs": ["input"], "factor": 2}), ("result of 'idle' is neither",)),
    "scale null": (lambda f: step(f, "sum").update(scale=None), ("step 'sum': scale null",)),
    "scale infinite": (lambda f: step(f, "sum").update(scale=1e999), ("step 'sum': scale inf",)),
    "layer shape": (lambda f: step(f, "conv")["config"].update(height=6), ("step 'conv': height 6", "5")),
    "layer bits": (lambda f: step(f, "conv")["config"].update(in_bits=7), ("step 'conv': in_bits 7",)),
    "layer sign": (lambda f: step(f, "conv")["config"].update(in_signed=True), ("step 'conv': in_signed True",)),
    "layer scale": (lambda f: step(f, "conv")["config"].update(in_scale=0.5), ("in_scale is not for a layer",)),
    "layer format": (lambda f: step(f, "conv")["config"].update(format=1), ("'format' is unknown",)),
    "layer field beside": (lambda f: step(f, "conv").update(relu=True), ("step 'conv': its own fields",)),
    "layer field": (lambda f: step(f, "conv")["config"].pop("relu"), ("step 'conv': config field relu is missing",)),
    "add multiplier": (lambda f: step(f, "sum").update(multipliers=[1, 65536]), ("multipliers entry 65536",)),
    "add multipliers": (lambda f: step(f, "sum").update(multipliers=[1]), ("multipliers [1] are not two",)),
    "add shift": (lambda f: step(f, "sum").update(shift=48), ("shift 48", "0 to 47")),
    "add bits": (lambda f: step(f, "sum").update(out_bits=17), ("out_bits 17",)),
    "add relu": (lambda f: step(f, "sum").update(relu=0), ("relu 0",)),
    "add field": (lambda f: step(f, "sum").update(bias=0), ("config field 'bias' is unknown",)),
    "add shapes": (lambda f: step(f, "wide").update(factor=3) or f["steps"].insert(5, {
        "name": "bad", "op": "add", "inputs": ["wide", "sum"], "multipliers": [1, 1], "shift": 0, "out_bits": 8,
        "out_signed": True, "relu": False}), ("step 'bad': it takes shapes [4, 9, 9] and [2, 5, 6]",)),
    "concat formats": (lambda f: step(f, "both").update(inputs=["sum", "conv"]), ("signed True, False",)),
    "pool kernel": (lambda f: step(f, "large").update(kernel=8), ("kernel 8", "1 to 7")),
    "pool kernel float": (lambda f: step(f, "large").update(kernel=3.0), ("kernel 3.0",)),
    "pool pad": (lambda f: step(f, "large").update(pad=2), ("pad 2", "0 to 1")),
    "pool stride": (lambda f: step(f, "large").update(stride=0), ("stride 0",)),
    "empty max pool": (lambda f: step(f, "large").update(kernel=7, pad=0), ("kernel 7 is larger", "height 5")),
    "empty average": (lambda f: step(f, "mean").update(kernel=7), ("step 'mean': kernel 7 is larger",)),
    "average kernel": (lambda f: step(f, "mean").update(kernel="all"), ("kernel 'all' is neither 'frame'",)),
    "average stride": (lambda f: step(f, "mean").update(stride=2), ("stride 2 is not 1",)),
    "average multiplier": (lambda f: step(f, "mean").update(multiplier=0), ("multiplier 0",)),
    "upsample": (lambda f: step(f, "wide").update(factor=5), ("factor 5", "2 to 4")),
    "raw unsigned": (lambda f: step(f, "scores").update(out_signed=False), ("out_signed false is not for a raw",)),
    "raw narrow": (lambda f: step(f, "scores").update(out_bits=12), ("out_bits 12 is too narrow",)),
    "raw bits": (lambda f: step(f, "scores").update(out_bits=49), ("out_bits 49", "8 to 48")),
    "add rounding": (
        lambda f: step(f, "sum").update(rounding="up"),
        ("step 'sum': rounding 'up' is not one of 'half_even', 'half_up', 'floor'",),
    ),
    "average rounding": (lambda f: step(f, "mean").update(rounding=0), ("step 'mean': rounding 0 is not one of",)),
    "rounding null": (lambda f: step(f, "sum").update(rounding=None), ("step 'sum': rounding null is not allowed",)),
    "layer rounding": (lambda f: step(f, "conv")["config"].update(rounding="ceil"), ("step 'conv': rounding 'ceil'",)),
    "pool rounding": (lambda f: step(f, "large").update(rounding="floor"), ("config field 'rounding' is unknown",)),
    "raw rounding": (
        lambda f: step(f, "scores").update(rounding="half_even"),
        ("step 'scores': rounding 'half_even' is not for a raw result, it goes with out_shift",),
    ),
    "half requantised": (lambda f: step(f, "scores").update(relu=False), ("scores.multiplier",)),
    "argmax inside": (lambda f: f.update(output="scores"), ("'digit' is neither taken by a step nor the output",)),
    "argmax of frames": (lambda f: step(f, "digit").update(inputs=["wide"]), ("takes shape [4, 6, 6]", "[K, 1, 1]")),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_refusal(case: str, tmp_path: Path) -> None:
    change, words = CHANGES[case]
    refused(save(tmp_path / "n.npz", changed(change)), *words)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("conv.bias", None, ("array 'conv.bias' is missing",)),
        ("conv.scale", np.zeros(2, int), ("array 'conv.scale' is unknown",)),
        ("scores.multiplier", np.ones(10, int), ("array 'scores.multiplier' is unknown",)),
        ("conv.bias", np.zeros(3, int), ("step 'conv': bias has shape [3]", "[2]")),
        ("conv.conv_weight", np.zeros((2, 2, 3, 3)), ("step 'conv': conv_weight has dtype float64",)),
        ("conv.conv_weight", np.full((2, 2, 3, 3), -128), ("step 'conv': conv_weight has a value -128",)),
        ("scores.weight", np.zeros((10, 5), int), ("step 'scores': weight has shape [10, 5]", "[K, 4, 1, 1]")),
        ("scores.weight", np.zeros((0, 4), int), ("step 'scores': weight has shape [0, 4]",)),
        ("scores.weight", np.zeros((10, 4), bool), ("weight has dtype bool",)),
        ("scores.weight", np.full((10, 4), 128), ("step 'scores': weight has a value 128",)),
        ("scores.bias", np.full(10, 2**31), ("step 'scores': bias has a value 2147483648",)),
        ("scores.bias", np.zeros(9, int), ("step 'scores': bias has shape [9]",)),
    ],
)
def test_refused_arrays(name: str, array: np.ndarray | None, words: tuple[str, ...], tmp_path: Path) -> None:
    refused(save(tmp_path / "n.npz", config(), **{name: array}), *words)


def test_requantised_linear(tmp_path: Path) -> None:
    fields = config()
    fields["steps"][6] = dict(REQUANTISED)
    multiplier = np.arange(1, 11)
    network = read_network(save(tmp_path / "n.npz", fields, **{"scores.multiplier": multiplier}))
    assert network.results["scores"].bits == 9
    refused(save(tmp_path / "m.npz", fields, **{"scores.multiplier": multiplier - 1}), "multiplier has a value 0")
    fields["steps"][6]["rounding"] = "half_up"
    network = read_network(save(tmp_path / "r.npz", fields, **{"scores.multiplier": multiplier}))
    assert json.loads(config_text(network))["steps"][6]["rounding"] == "half_up"
    fields["steps"][6]["rounding"] = "half_down"
    refused(save(tmp_path / "d.npz", fields, **{"scores.multiplier": multiplier}), "rounding 'half_down' is not one of")
    fields["steps"][6] |= {"out_bits": 17, "rounding": "floor"}
    refused(save(tmp_path / "b.npz", fields, **{"scores.multiplier": multiplier}), "out_bits 17", "2 to 16")


def test_a_raw_result_has_no_rounding() -> None:
    raw: dict[str, Any] = {"weight": np.ones((1, 1), int), "bias": np.zeros(1, int), "weight_bits": 2}
    with pytest.raises(LayerError, match="rounding 'floor' is not for a raw result"):
        Linear(name="a", inputs=(IMAGE,), out_bits=48, out_signed=True, rounding="floor", **raw)


def test_raw_result_goes_to_argmax_only(tmp_path: Path) -> None:
    fields = config()
    fields["steps"][-1] = {"name": "digit", "op": "max_pool", "inputs": ["scores"], "kernel": 1, "stride": 1, "pad": 0}
    refused(save(tmp_path / "n.npz", fields), "step 'digit': input 'scores' has 20 bits, max_pool takes 2 to 16")
    fields["steps"][6]["out_bits"] = 16
    fields["steps"][5] |= {"out_bits": 4, "out_signed": False}
    small = np.ones((10, 4), int)
    path = save(tmp_path / "o.npz", fields, **{"scores.weight": small})
    refused(path, "step 'digit': max_pool takes the raw result of 'scores'", "argmax or is the output")


def test_raw_result_is_as_wide_as_its_bound() -> None:
    image = Result(channels=2, height=1, width=1, bits=2, signed=True)  # -2 to 1

    def bits(out_bits: int, first: int = 100) -> Result:
        fields: dict[str, Any] = {
            "weight_bits": 8,
            "weight": np.array([[first, 28]]),
            "bias": np.zeros(1, int),
            "out_signed": True,
        }
        return Linear(name="a", inputs=(IMAGE,), out_bits=out_bits, **fields).result([image])

    assert bits(9).bits == 9  # -2 * (100 + 28) = -256
    with pytest.raises(LayerError, match="out_bits 9 is too narrow for raw sums, these need 10"):
        bits(9, first=101)


def test_bound_that_the_accumulator_does_not_hold() -> None:
    image = Result(channels=4096, height=4096, width=4096, bits=8, signed=False)

    def linear(weight: int) -> Result:
        arrays = {"weight": np.full((1, 4096), weight), "bias": np.zeros(1, int)}
        return Linear(name="a", inputs=(IMAGE,), weight_bits=8, out_bits=48, out_signed=True, **arrays).result([image])

    assert linear(8).bits == 48
    assert 2**36 * 255 * 9 == 157_711_199_109_120
    with pytest.raises(LayerError, match=r"the proven bound on \|acc\| is 157711199109120, allowed is less than 2\^47"):
        linear(9)


def test_no_steps(tmp_path: Path) -> None:
    np.savez(tmp_path / "n.npz", config=json.dumps(config() | {"steps": []}))
    refused(tmp_path / "n.npz", "the network has no steps")


def test_doubled_fields(tmp_path: Path) -> None:
    text = json.dumps(config()).replace('"factor": 2', '"factor": 2, "factor": 3')
    np.savez(tmp_path / "n.npz", config=text, **arrays())
    refused(tmp_path / "n.npz", "config field 'factor' is there twice")


def test_other_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.npz", "cannot be read: No such file")
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz", "is not an .npz archive")
    np.savez(tmp_path / "bare.npz", **arrays())
    refused(tmp_path / "bare.npz", "array 'config' is missing")
