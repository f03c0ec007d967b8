"""Linear layers: the generated unit of any ``linear`` step, simulated, against the model of the step."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from golden.contract.fields import LayerError
from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig
from golden.contract.network.linear import Linear
from golden.contract.network.result import Result
from golden.contract.ranges import Range
from golden.contract.rounding import ROUNDINGS
from golden.contract.streams import to_beats
from golden.model.network import plain, steps
from hw.estimate.estimate import estimate
from hw.export.verilog import Core, generate
from hw.network.linear_layer import LinearConfig, linear_layer, narrowest_format
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import dsp_counts
from hw.plan.shapes import Shapes
from hw.synth.mapping import map_to_cells
from hw.synth.resources import total_area
from hw.targets.families import TARGETS
from sim.bulk.result import SimulationResult
from sim.bulk.simulate import simulate
from tests.support.tiers import by_day, in_turn, nightly, thorough, thorough_from

#: Frames whose sums of 8-bit elements have so many bits (signed), and what may hold them: a multiplier's narrow port,
#: its wide one, two limbs or three.
FRAMES = {17: (16, 32), 18: (32, 32), 19: (32, 64), 20: (64, 64), 25: (256, 512), 26: (512, 512), 27: (512, 1024)}
FRAMES |= {28: (1024, 1024), 32: (4096, 4096)}
#: Bits just within and just beyond the ports of a family's multiplier; `make check` tries them on this family.
BORDERS = {18: "ecp5", 19: "ecp5", 25: "xc7", 26: "xc7", 27: "xcup", 32: "generic"}
#: Bits that `make test` tries on each family, and the families where it has raw results.
QUICK = {20: ("ecp5", "generic"), 28: ("xc7", "xcup")}


def random_step(rng: np.random.Generator, taken: Result, outputs: int, *, whole: bool, raw: bool, bits: int) -> Linear:
    """A step with weights of so many ``bits`` for each channel, or for the ``whole`` frame."""
    limit = 2 ** (bits - 1) - 1
    shape = (outputs, *taken.shape) if whole else (outputs, taken.channels)
    step = Linear(
        name="scores",
        inputs=("x",),
        weight_bits=bits,
        weight=rng.integers(-limit, limit, shape, endpoint=True),
        bias=rng.integers(-(2**20), 2**20, outputs),
        out_bits=48,
        out_signed=True,
    ).as_narrow_as_its_bound(taken)
    if raw:
        return step
    # The largest multiplier brings the widest accumulator to just above the limits.
    out_bits, acc = int(rng.integers(2, 16, endpoint=True)), step.out_bits
    fields: dict[str, Any] = {name: getattr(step, name) for name in ("name", "inputs", "weight_bits", "weight", "bias")}
    return Linear(
        **fields,
        out_bits=out_bits,
        out_signed=bool(rng.integers(2)),
        relu=bool(rng.integers(2)),
        out_shift=int(np.clip(acc + 14 - out_bits, 0, 47)),
        multiplier=rng.integers(1, 2**16, outputs),
        rounding=ROUNDINGS[rng.integers(len(ROUNDINGS))],
    )


def unit(step: Linear, taken: Result, simd: int, pe: int, target: str, *, pack: bool = True) -> Core:
    layer = linear_layer(step, taken)
    return generate(UnitConfig(layer=layer, folding=Folding(simd=simd, pe=pe), target=TARGETS[target], pack=pack))


def run(core: Core, step: Linear, x: np.ndarray, **options: Any) -> SimulationResult:
    """Stream what the unit takes of the frames ``x`` through it."""
    elements = x.sum(axis=(2, 3), dtype=np.int64) if step.weight.ndim == 2 else to_beats(x, 1).reshape(len(x), -1)
    return simulate(core, elements[:, :, None, None], simulator="icarus", **options)


def extreme_frames(rng: np.random.Generator, taken: Result, random: int) -> np.ndarray:
    """Frames of each limit, one of both, and some at random."""
    low, high = taken.limits.low, taken.limits.high
    frames = rng.integers(low, high, (3 + random, *taken.shape), endpoint=True)
    frames[0], frames[1] = low, high
    frames[2] = rng.choice([low, high], taken.shape)
    return frames


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", thorough_from(range(8), 2, 4))
def test_any_step(seed: int, target: str) -> None:
    """Both forms of weights, raw and requantised, any format and folding: bits, latency and interval."""
    rng = np.random.default_rng([seed, *target.encode()])
    channels, height, width = (int(n) for n in rng.integers(1, [12, 5, 5], endpoint=True))
    taken = Result(
        channels=channels, height=height, width=width, bits=int(rng.integers(2, 9)), signed=bool(rng.integers(2))
    )
    outputs = int(rng.integers(1, 10))
    step = random_step(rng, taken, outputs, whole=seed % 2 == 0, raw=seed % 4 in (0, 3), bits=int(rng.integers(2, 9)))
    simd, pe = (int(rng.choice([d for d in range(1, n + 1) if n % d == 0])) for n in (channels, outputs))
    core = unit(step, taken, simd, pe, target, pack=bool(seed % 3))
    x = extreme_frames(rng, taken, 9)
    result = run(core, step, x)
    expected = steps.linear(step, [x])
    assert result.complaints() == [] and result.timing_complaints(core.manifest["timing"]) == []
    assert result.frames is not None and (result.frames == expected).all()
    assert expected.tolist() == [plain.linear(step, [frame.tolist()]) for frame in x]
    ideal = step.weight.size // (simd * pe)
    assert core.manifest["timing"]["predicted_frame_cycles"] == core.manifest["timing"]["ideal_frame_cycles"] == ideal
    if seed % 2:
        assert run(core, step, x, idle=0.3, stall=0.3, seed=seed).complaints() == []


def wide_sums() -> list[Any]:
    """Bits, target, and whether results are raw."""
    cases = []
    for bits, target, raw in itertools.product(FRAMES, TARGETS, (True, False)):
        at_a_border = BORDERS.get(bits) == target and raw == (bits % 2 == 0)
        quick = bits in QUICK and raw == (target in QUICK[bits])
        mark = [] if quick else [thorough if at_a_border else nightly]
        name = f"{bits}-{target}-{'raw' if raw else 'requantised'}"
        cases.append(pytest.param(bits, target, raw, id=name, marks=mark))
    return cases


@in_turn
@pytest.mark.parametrize(("bits", "target", "raw"), wide_sums())
def test_sums_wider_than_a_multiplier(bits: int, target: str, raw: bool) -> None:
    """Sums of constant frames, at both limits, and any others, keep all of their bits in the products."""
    rng = np.random.default_rng([bits, *target.encode()])
    height, width = FRAMES[bits]
    taken = Result(channels=3, height=height, width=width, bits=8, signed=True)
    step = random_step(rng, taken, 2, whole=False, raw=raw, bits=8)
    core = unit(step, taken, 3, 1, target)
    layer = core.config.layer
    assert layer.config.in_range == Range(-128 * height * width, 127 * height * width)
    assert layer.config.in_bits == bits == layer.config.in_range.signed_bits
    constant = np.array([[-128, -128, -128], [127, 127, 127], [-128, 127, -128], [127, 0, -1]])
    sums = np.concatenate(
        [constant * height * width, rng.integers(layer.config.in_range.low, layer.config.in_range.high, (12, 3))]
    )
    result = simulate(core, sums[:, :, None, None], simulator="icarus")
    assert result.complaints() == [] and result.timing_complaints(core.manifest["timing"]) == []
    frames = np.broadcast_to(constant[:, :, None, None], (*constant.shape, height, width))
    assert result.frames is not None
    assert (result.frames[: len(constant)] == steps.linear(step, [frames])).all()
    if raw:
        exact = sums.astype(object) @ step.weight.T.astype(object) + step.bias.astype(object)
        assert result.frames[:, :, 0, 0].tolist() == exact.tolist()


@pytest.mark.parametrize("target", ["ecp5", "xc7", "xcup"])
@pytest.mark.parametrize("signed", thorough_from([True, False], 1, 1))
@pytest.mark.parametrize("frame", thorough_from([(64, 64), (1, 1), (1024, 1024), (4, 4), (16, 32), (4096, 4096)], 1, 3))
@pytest.mark.parametrize("weight_bits", thorough_from([8, 2, 4], 2, 2))
def test_multipliers_of_wide_operands(weight_bits: int, frame: tuple[int, int], signed: bool, target: str) -> None:
    """As many are built as are counted, for operands that fit a port, or are packed, or are cut into limbs."""
    rng = np.random.default_rng(weight_bits)
    taken = Result(channels=2, height=frame[0], width=frame[1], bits=8, signed=signed)
    step = random_step(rng, taken, 4, whole=False, raw=True, bits=weight_bits)
    core = unit(step, taken, 1, 2, target)
    counts = dsp_counts(Shapes(core.config))
    assert counts["requantise"] == 0
    in_lane = core.verilog.count(f"  {TARGETS[target].dsp} ")
    lanes = len(re.findall(rf"  {core.config.name}_lane lane_\d+ ", core.verilog))
    assert in_lane * lanes == sum(counts.values())
    assert (in_lane > 0) == (weight_bits > 2)


@thorough
@pytest.mark.parametrize("target", ["generic", pytest.param("xcup", marks=nightly)])
def test_more_channels_than_a_layer_has(target: str) -> None:
    """The first fully connected step of a VGG: frames of 512 channels of 7x7 pixels."""
    rng = np.random.default_rng(1)
    taken = Result(channels=512, height=7, width=7, bits=8, signed=False)
    step = random_step(rng, taken, 2, whole=True, raw=False, bits=8)
    core = unit(step, taken, 16, 1, target)
    x = extreme_frames(rng, taken, 1)
    result = run(core, step, x)
    assert result.complaints() == [] and result.timing_complaints(core.manifest["timing"]) == []
    assert result.frames is not None and (result.frames == steps.linear(step, [x])).all()
    assert set(result.frame_cycles[1:]) == {25_088 * 2 // 16}


@pytest.mark.parametrize("target", TARGETS)
def test_raw_results_are_accumulators(target: str) -> None:
    """There is neither a stage nor a memory for what is not done."""
    rng = np.random.default_rng(3)
    taken = Result(channels=4, height=1, width=1, bits=8, signed=True)
    cores = [
        unit(random_step(rng, taken, 6, whole=True, raw=raw, bits=8), taken, 2, 2, target) for raw in (True, False)
    ]
    stages = [core.manifest["stages"]["requantise"] for core in cores]
    assert stages[0] == 0 < stages[1]
    memories = [{memory["name"] for memory in core.manifest["memories"]} for core in cores]
    assert memories[1] - memories[0] == {"multipliers"}
    signals = [{width["signal"] for width in core.manifest["widths"]} for core in cores]
    assert signals[1] - signals[0] == {"scaled"}


def test_results_wider_than_int32() -> None:
    """The widest accumulators that the contract allows, at both of their ends."""
    taken = Result(channels=1, height=4096, width=4096, bits=8, signed=True)
    weight = np.array([[127], [-127]])
    step = Linear(name="scores", inputs=("x",), weight_bits=8, weight=weight, bias=[0, 0], out_bits=48, out_signed=True)
    core = unit(step, taken, 1, 1, "ecp5")
    sums = np.array([-128, 127]) * 2**24
    result = simulate(core, sums[:, None, None, None], simulator="icarus")
    assert result.complaints() == [] and result.frames is not None
    assert result.frames[:, :, 0, 0].tolist() == [[127 * int(s), -127 * int(s)] for s in sums]


def test_stream_order() -> None:
    """The weight of each element stands where the element comes in the stream: for y, for x, for channel."""
    taken = Result(channels=2, height=2, width=3, bits=2, signed=False)
    weight = np.arange(12).reshape(1, 2, 2, 3)
    step = Linear(name="scores", inputs=("x",), weight_bits=5, weight=weight, bias=[0], out_bits=16, out_signed=True)
    order = linear_layer(step, taken).conv_weight[0, :, 0, 0].tolist()
    assert order == [6 * c + 3 * y + x for y in range(2) for x in range(3) for c in range(2)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Range(0, 255), (8, False)),
        (Range(0, 256), (9, False)),
        (Range(-128, 127), (8, True)),
        (Range(-6272, 6223), (14, True)),
        (Range(0, 255 * 2**24), (32, False)),
    ],
)
def test_narrowest_format(values: Range, expected: tuple[int, bool]) -> None:
    assert narrowest_format(values) == expected
    full = Range.of_format(*expected)
    assert full.low <= values.low and values.high <= full.high


def test_layer_files_may_not_have_such_fields() -> None:
    taken = Result(channels=512, height=64, width=64, bits=8, signed=False)
    step = random_step(np.random.default_rng(0), taken, 2, whole=False, raw=True, bits=8)
    config = linear_layer(step, taken).config
    assert isinstance(config, LinearConfig)
    with pytest.raises(LayerError, match="config field 'element' is unknown"):
        LayerConfig.from_json(config.to_json())
    common = {name: value for name, value in vars(config).items() if name not in ("element", "requantised")}
    with pytest.raises(LayerError, match="in_bits 20 is not an integer from 2 to 8"):
        LayerConfig(**common)
    with pytest.raises(LayerError, match="in_channels 25088 is not an integer from 1 to 4096"):
        LayerConfig(**(common | {"in_bits": 8, "in_channels": 25_088}))
    with pytest.raises(LayerError, match="out_bits 36 is not an integer from 2 to 16"):
        LayerConfig(**(common | {"in_bits": 8, "out_bits": 36}))
    wider = common | {"in_bits": 21, "element": config.element, "requantised": True}
    with pytest.raises(LayerError, match="in_bits 21, in_signed False is not the narrowest format of elements from 0"):
        LinearConfig(**wider)


#: Steps by name: frame, outputs, bits, whether weights are for the whole frame, whether results are raw, bits of
#: weights, simd, pe.
SYNTHESISED = {
    "one_pixel": ((8, 1, 1), 10, 8, True, True, 8, 2, 2),
    "wide_sums": ((16, 64, 64), 10, 8, False, False, 8, 2, 5),
    "4_bit": ((32, 4, 4), 12, 4, True, False, 4, 4, 4),
    "two_limbs": ((8, 512, 1024), 4, 8, False, True, 8, 2, 2),
    "one_lane": ((64, 8, 8), 10, 8, False, True, 8, 1, 1),
}


@thorough
@pytest.mark.parametrize(
    ("name", "target"),
    by_day(itertools.product(SYNTHESISED, ["ecp5", "xcup"]), [("two_limbs", "xcup")]),
)
def test_estimate_against_synthesis(name: str, target: str) -> None:
    """Multipliers and memories are exact, LUTs and flip-flops within 20 %."""
    (channels, height, width), outputs, bits, whole, raw, weight_bits, simd, pe = SYNTHESISED[name]
    taken = Result(channels=channels, height=height, width=width, bits=bits, signed=not whole)
    step = random_step(np.random.default_rng(1), taken, outputs, whole=whole, raw=raw, bits=weight_bits)
    core = unit(step, taken, simd, pe, target)
    guess, truth = estimate(core.config), total_area(map_to_cells(core))
    assert (guess.dsp, guess.bram) == (truth.dsp, truth.bram)
    assert guess.lut == pytest.approx(truth.lut, rel=0.2)
    assert guess.ff == pytest.approx(truth.ff, rel=0.2)
    assert guess.latency == core.manifest["timing"]["predicted_latency"]
