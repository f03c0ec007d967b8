"""Rescale: exact for operands at their limits and at ties, and every cycle as its model says."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil

from golden.contract.ranges import Range
from golden.contract.rounding import Rounding
from hw.network.beat import Beat
from hw.network.nodes.rescale import Rescale
from hw.targets.families import GENERIC, PRIMITIVES, TARGETS, Target
from tests.support.rounding import rounded
from tests.support.stream_bench import Play, always, play, random_arrivals, random_beats, sometimes
from tests.support.tiers import in_turn, thorough_from
from tests.support.units import SIMULATED


def rescale(
    formats: list[tuple[int, bool]],
    multipliers: list[int],
    shift: int,
    out: tuple[int, bool] = (8, True),
    *,
    relu: bool = False,
    lanes: int = 2,
    target: Target = GENERIC,
    rounding: Rounding = "half_even",
) -> Rescale:
    high = 2 ** (out[0] - out[1]) - 1
    return Rescale(
        inputs=tuple(Beat(lanes=lanes, bits=bits, signed=sign) for bits, sign in formats),
        output=Beat(lanes=lanes, bits=out[0], signed=out[1]),
        multipliers=tuple(multipliers),
        shift=shift,
        limits=Range(0 if relu or not out[1] else -high - 1, high),
        frame_beats=5,
        target=target,
        rounding=rounding,
    )


#: Nodes for each thing that shapes them.
NODES: dict[str, dict[str, Any]] = {
    "add": {"formats": [(8, False), (8, True)], "multipliers": [20000, 31111], "shift": 15},
    "add of unlike widths": {"formats": [(2, True), (16, False)], "multipliers": [65535, 3], "shift": 4},
    "a shift and a product": {"formats": [(7, True), (5, True)], "multipliers": [8, 5], "shift": 3},
    "two shifts": {"formats": [(6, True), (6, False)], "multipliers": [1, 2], "shift": 1},
    "no shift": {"formats": [(4, True), (4, True)], "multipliers": [1, 1], "shift": 0, "out": (5, True)},
    "one counts": {"formats": [(8, True), (9, False)], "multipliers": [0, 7], "shift": 3},
    "none counts": {"formats": [(8, True), (9, False)], "multipliers": [0, 0], "shift": 3},
    "one operand": {"formats": [(41, True)], "multipliers": [54321], "shift": 47, "out": (16, True)},
    "one unsigned operand": {"formats": [(22, False)], "multipliers": [7282], "shift": 16, "out": (6, False)},
    "one shift": {"formats": [(13, True)], "multipliers": [64], "shift": 10, "out": (7, True)},
    "relu": {"formats": [(8, True), (8, True)], "multipliers": [77, 99], "shift": 8, "relu": True},
    "half up": {"formats": [(8, False), (8, True)], "multipliers": [4, 2], "shift": 3, "rounding": "half_up"},
    "floor": {"formats": [(8, False), (8, True)], "multipliers": [3, 5], "shift": 3, "rounding": "floor"},
    "largest shift": {
        "formats": [(16, True), (16, True)],
        "multipliers": [65535, 65535],
        "shift": 47,
        "out": (2, True),
    },
    "saturates always": {
        "formats": [(16, True), (16, True)],
        "multipliers": [65535, 65535],
        "shift": 0,
        "out": (2, False),
    },
}


def expected(node: Rescale, *operands: list[list[int]]) -> list[list[int]]:
    rows = []
    for beats in zip(*operands, strict=True):
        row = []
        for elements in zip(*beats, strict=True):
            total = sum(m * e for m, e in zip(node.multipliers, elements, strict=True))
            exact = rounded(Fraction(total, 2**node.shift), node.rounding)
            row.append(min(max(exact, node.limits.low), node.limits.high))
        rows.append(row)
    return rows


def operands_of(node: Rescale, rng: np.random.Generator, count: int) -> list[list[list[int]]]:
    return [random_beats(rng, count, beat.lanes, beat.bits, beat.signed) for beat in node.inputs]


@in_turn
@pytest.mark.parametrize("target", SIMULATED)
@pytest.mark.parametrize("name", NODES)
def test_values_and_cycles(name: str, target: str) -> None:
    """With a sink that is always ready, every cycle is as in the model."""
    rng = np.random.default_rng(sorted(NODES).index(name))
    node = rescale(**NODES[name], target=SIMULATED[target])
    operands = operands_of(node, rng, 120)
    arrivals = [random_arrivals(rng, 120, share) for share in rng.uniform(0.4, 1, len(operands))]
    names = [f"i_{number}" for number in range(len(operands))]
    [run] = play(
        node.component(),
        Play(
            sources={name: pair for name, *pair in zip(names, operands, arrivals, strict=True)},
            sinks={"o_0": always},
            counts={"o_0": 120},
        ),
    )
    assert run.beats["o_0"] == expected(node, *operands)
    times = node.times(arrivals)
    assert [run.taken[name] for name in names] == [taken.tolist() for taken in times.taken]
    assert run.given["o_0"] == times.given[0].tolist()


@pytest.mark.parametrize("target", SIMULATED)
@pytest.mark.parametrize("name", ["add", "one shift"])
def test_a_beat_a_cycle(name: str, target: str) -> None:
    node = rescale(**NODES[name], target=SIMULATED[target])
    times = node.times([np.zeros(60, np.int64)] * len(node.inputs))
    assert times.given[0].tolist() == [node.latency + n for n in range(60)]
    operands = operands_of(node, np.random.default_rng(1), 60)
    sources = {f"i_{number}": (beats, np.zeros(60)) for number, beats in enumerate(operands)}
    [run] = play(node.component(), Play(sources=sources, sinks={"o_0": always}, counts={"o_0": 60}))
    assert run.left["o_0"] == times.given[0].tolist()


@pytest.mark.parametrize("seed", thorough_from(range(8), 3))
@pytest.mark.parametrize("target", ["generic", "ecp5"])
def test_random_nodes_under_pauses(target: str, seed: int) -> None:
    rng = np.random.default_rng([seed, target == "ecp5"])
    signs = rng.integers(0, 2, 3).astype(bool).tolist()
    multipliers = [int(rng.choice([0, 1, 2**12, 65535, rng.integers(65536)])) for _ in range(2)]
    node = rescale(
        list(zip(rng.integers(2, 17, 2).tolist(), signs, strict=False)),
        multipliers,
        int(rng.integers(0, 24)),
        (int(rng.integers(2, 17)), signs[2]),
        relu=bool(rng.integers(2)),
        lanes=int(rng.integers(1, 4)),
        target=SIMULATED[target],
    )
    operands = operands_of(node, rng, 150)
    sources = {f"i_{n}": (beats, random_arrivals(rng, 150, rng.uniform(0.3, 1))) for n, beats in enumerate(operands)}
    sink = sometimes(rng, rng.uniform(0.2, 0.9))
    [run] = play(node.component(), Play(sources=sources, sinks={"o_0": sink}, counts={"o_0": 150}))
    assert run.beats["o_0"] == expected(node, *operands), f"seed {seed}: {node}"
    assert run.taken["i_0"] == run.taken["i_1"], "the operands of a result leave together"


@pytest.mark.parametrize("cycles", [2, 5, 9, 30])
@pytest.mark.parametrize("ready", [0, 0.5, 1])
def test_clean_after_a_reset(cycles: int, ready: float) -> None:
    """No result of a beat of before, and all the credit is there again."""
    rng = np.random.default_rng(cycles)
    node = rescale(**NODES["add"], target=SIMULATED["ecp5"])
    before, after = operands_of(node, rng, 60), operands_of(node, rng, 60)
    late = np.arange(60) + 1
    first = Play(
        sources={f"i_{n}": (beats, np.arange(60)) for n, beats in enumerate(before)},
        sinks={"o_0": always if ready == 1 else sometimes(rng, ready)},
        counts={"o_0": 60},
        cycles=cycles,
    )
    second = Play(
        sources={f"i_{n}": (beats, late) for n, beats in enumerate(after)}, sinks={"o_0": always}, counts={"o_0": 60}
    )
    run = play(node.component(), first, second)[1]
    assert run.beats["o_0"] == expected(node, *after)
    assert run.left["o_0"] == (late + node.latency).tolist()


@pytest.mark.parametrize("name", NODES)
def test_no_multiplier(name: str) -> None:
    """Whatever the multipliers are, the text has no DSP and leaves synthesis none to find."""
    for target in TARGETS.values():
        text = rtlil.convert(rescale(**NODES[name], target=target).component())
        assert "$mul" not in text
        assert not any(f"cell \\{module} " in text for module in PRIMITIVES), target.name


def test_unlike_beats_are_refused() -> None:
    node = rescale(**NODES["add"])
    with pytest.raises(AssertionError, match="as many elements in each beat"):
        dataclasses.replace(node, output=dataclasses.replace(node.output, lanes=1))
    with pytest.raises(AssertionError, match="one operand or two"):
        dataclasses.replace(node, multipliers=(1,))
