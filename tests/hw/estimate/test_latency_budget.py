"""Budget: the first output comes a bounded number of cycles behind the input beats that it waits for.

What is predicted is what is simulated, see the tests of the whole unit; here it is held against
what was promised, for every target as it is built.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Format, Value
from amaranth.lib.data import ArrayLayout

from golden.contract.layer_config import NEIGHBOURS
from hw.estimate.estimate import estimate
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from tests.support.tiers import thorough_from
from tests.support.units import UNITS, at_limits, changed, random_unit, unit_shapes, with_arrays

#: Cycles beyond the input beats.
PIPELINE = {"generic": 24, "ecp5": 40, "xc7": 40, "xcup": 40}
#: More of them with similarities, for what they sum over heads: across the borders of beats, or of 64 channels at once.
SIMILARITIES = 2
#: Largest magnitude of a bias.
BIAS = 2**31 - 1
#: Attention taps at the kernel's neighbours, at the far end of the window, and none.
DIRECTIONS = {
    "neighbours": NEIGHBOURS,
    "distance_3": tuple((3 * dy, 3 * dx) for dy, dx in NEIGHBOURS),
    "plain": (),
}
#: Number formats: bits of inputs and weights, and whether inputs are signed.
FORMATS = {"8_unsigned": (8, False), "8_signed": (8, True), "4_unsigned": (4, False), "4_signed": (4, True)}


def budget(shapes: Shapes) -> int:
    """Cycles from the first input beat's transfer to the first output's, at most."""
    c = shapes.layer.config
    centre = 0 if c.padding == "same" else c.kernel // 2
    radius = max([c.kernel // 2, *(abs(d) for offset in c.attn_offsets for d in offset)])
    pixels = min((centre + radius) * c.width + centre + radius + 2, c.height * c.width)
    pipeline = PIPELINE[shapes.target.name] + (SIMILARITIES if shapes.heads is not None else 0)
    return pixels * (c.in_channels // shapes.folding.simd) + pipeline


def excess(shapes: Shapes) -> int:
    """Cycles that the predicted latency, as the manifest has it, is above the budget."""
    return estimate(shapes.config).latency - budget(shapes)


def on(shapes: Shapes, target: str, *, pack: bool = True) -> Shapes:
    """The unit with the target's primitives, which the tests that simulate leave out."""
    return changed(shapes, target=TARGETS[target], pack=pack)


def extreme(*, kernel: int, directions: str, numbers: str, **fields: Any) -> Shapes:
    """16 -> 16 channels, 8x9 pixels, 16 input lanes, no more output lanes than packing takes, where not said."""
    bits, signed = FORMATS[numbers]
    defaults: dict[str, Any] = {"in_channels": 16, "out_channels": 16, "height": 8, "width": 9, "simd": 16}
    defaults["pe"] = 1 if DIRECTIONS[directions] else 2
    fields = {"kernel": kernel, "attn_offsets": DIRECTIONS[directions], **fields}
    return unit_shapes(in_bits=bits, weight_bits=bits, in_signed=signed, **{**defaults, **fields})


def check(cases: dict[str, Shapes]) -> None:
    """All cases within the budget; the message names those that are not, and their excess."""
    beyond = {name: cycles for name, shapes in cases.items() if (cycles := excess(shapes)) > 0}
    assert cases
    assert not beyond, f"cycles above the budget: {beyond}"


@pytest.fixture(autouse=True)
def nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports of thousands of elements, of which nobody looks at waveforms: preparing each takes most of the time."""
    monkeypatch.setattr(ArrayLayout, "format", lambda self, value, spec: Format("{}", Value.cast(value)))


every_target = pytest.mark.parametrize("target", TARGETS)


def test_every_target_has_a_budget() -> None:
    assert PIPELINE.keys() == TARGETS.keys()


@every_target
def test_first_output_of_small_units(target: str) -> None:
    check({unit: on(unit_shapes(**fields), target) for unit, fields in UNITS.items()})


@every_target
@pytest.mark.parametrize("pack", [True, False])
def test_first_output_in_any_geometry(target: str, pack: bool) -> None:
    check({f"seed {seed}": on(random_unit(seed), target, pack=pack) for seed in range(40)})


@every_target
def test_first_output_with_similarities(target: str) -> None:
    check({f"seed {seed}": on(random_unit(seed, similar=True), target, pack=seed % 3 > 0) for seed in range(30)})


@pytest.mark.parametrize("target", thorough_from([*reversed(TARGETS)], 0, 1))
def test_first_output_with_similarities_of_many_channels(target: str) -> None:
    """Heads within a beat, over many, and across their borders; one of 64 channels at once."""
    shapes: dict[str, dict[str, Any]] = {
        "one head": {"heads": 1},
        "heads of one": {"heads": 16},
        "over beats": {"heads": 8, "in_channels": 128},
        "across borders": {"heads": 3, "in_channels": 48, "simd": 12},
        "many at once": {"heads": 1, "in_channels": 64, "simd": 64, "pe": 1},
    }
    cases = {}
    for (shape, fields), numbers in itertools.product(shapes.items(), ("8_unsigned", "4_signed")):
        shapes = extreme(kernel=7, directions="neighbours", numbers=numbers, product="dynamic", **fields)
        cases[f"{shape}, {numbers}"] = on(shapes, target)
    check(cases)


@every_target
@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize("kernel", [5, 7])
def test_first_output_with_16_input_lanes(kernel: int, directions: str, target: str) -> None:
    """All channels at once: the widest sums, and nothing but the pipeline behind the beats."""
    cases = {}
    for numbers in FORMATS:
        shapes = extreme(kernel=kernel, directions=directions, numbers=numbers)
        assert shapes.geometry.channel_beats == 1
        packed = on(shapes, target)
        cases[numbers] = packed
        if packed.plan.packed:
            cases[f"{numbers}, not packed"] = on(shapes, target, pack=False)
    check(cases)


@every_target
@pytest.mark.parametrize("kernel", [3, 7])
def test_first_output_of_other_shapes(kernel: int, target: str) -> None:
    shapes: dict[str, dict[str, Any]] = {
        "valid": {"padding": "valid"},
        "stride 2": {"stride": 2},
        "stride 2, valid": {"stride": 2, "padding": "valid"},
        "depthwise": {"groups": 16, "simd": 4, "pe": 4},
        "folded": {"simd": 4},
        "sequential": {"simd": 1, "pe": 1},
    }
    numbers = ("8_signed", "4_unsigned")
    cases = {
        f"{shape}, {n}": on(extreme(kernel=kernel, directions="neighbours", numbers=n, **fields), target)
        for (shape, fields), n in itertools.product(shapes.items(), numbers)
    }
    check(cases)


@every_target
@pytest.mark.parametrize(("simd", "pe"), [(16, 16), (128, 1)])
def test_first_output_of_many_lanes(simd: int, pe: int, target: str) -> None:
    """7x7 taps, eight directions, and more lanes than one may want, in either direction."""
    fields = {"in_channels": simd, "simd": simd, "pe": pe}
    check({"8_unsigned": on(extreme(kernel=7, directions="neighbours", numbers="8_unsigned", **fields), target)})


@every_target
def test_first_output_with_a_32_bit_bias(target: str) -> None:
    cases = {}
    for numbers in FORMATS:
        shapes = extreme(kernel=7, directions="neighbours", numbers=numbers, out_shift=20)
        cases[numbers] = on(with_arrays(shapes, bias=np.resize([BIAS, -BIAS], 16)), target)
    check(cases)


@every_target
def test_first_output_of_the_widest_accumulators(target: str) -> None:
    """Sums of 47 bits, over many beats and over fewer of more channels."""
    cases = {}
    for simd in (16, 64):
        fields = {"in_channels": 1024, "out_channels": 2, "simd": simd, "pe": 1, "attn_shift": 15}
        shapes = at_limits(extreme(kernel=7, directions="neighbours", numbers="8_unsigned", **fields), "positive")
        assert shapes.ranges.accumulator.signed_bits == 47
        cases[f"simd {simd}"] = on(shapes, target)
    check(cases)
