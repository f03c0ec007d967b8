"""Foldings for a device, beside all foldings that there are."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.network_file import write_network
from golden.contract.network.step import Step
from golden.layers import load_network
from golden.layers.random_network import random_network
from hw import build
from hw.estimate.choose_for_device import choose
from hw.estimate.choose_network_folding import step_foldings
from hw.estimate.network import estimate_network
from hw.estimate.network_space import NetworkSpace
from hw.estimate.solver import Link, Problem, least_share, solve
from hw.estimate.wish import Wish
from hw.network.config import NetworkConfig, multiplying
from hw.network.folding import sides_of, up_to_lanes
from hw.network.plan import NetworkPlan
from hw.plan.made_of import MATERIALS, MadeOf
from hw.targets.devices import DEVICES, Device
from sim.cases.graphs import GraphCase, graph_case
from tests.support.places import ROOT
from tests.support.refusals import Refuse, refusal
from tests.support.tiers import nightly, thorough, thorough_from

#: Foldings that a network has together, where all of them are looked at.
FEW_FOLDINGS, MANY_FOLDINGS = 12, 128
SMALL_NETWORKS = 30
PAGE = ROOT / "docs" / "fpga.md"

# --- the solver ---


@pytest.mark.parametrize("seed", range(20))
def test_solver_against_all_choices(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that are linked, choices that are banned, and every third time a resource that there is nothing of.

    Where there are too many options to look at to the end, what is best lies between the bound and what is found.
    """
    rng = np.random.default_rng([31, seed])
    groups = [rng.integers(0, 60, (rng.integers(1, 6), 4)) for _ in range(rng.integers(1, 5))]
    links = [
        Link(
            first=first,
            second=first + 1,
            first_kinds=rng.integers(0, 2, len(groups[first])),
            second_kinds=rng.integers(0, 3, len(groups[first + 1])),
            costs=rng.integers(0, 30, (2, 3, 4)),
        )
        for first in range(len(groups) - 1)
    ]
    choices = list(itertools.product(*(range(len(group)) for group in groups)))
    banned = [choices[place] for place in rng.permutation(len(choices))[: rng.integers(0, 4)]]
    room = [Fraction(100), Fraction(333, 7), Fraction(80), Fraction(0 if seed % 3 == 0 else 50)]
    problem = Problem(groups=groups, links=links, fixed=rng.integers(0, 9, 4), room=room, then=(2, 0), banned=banned)
    values = [problem.value(choice) for choice in choices if choice not in banned]
    found, shared = solve(problem), least_share(problem)
    monkeypatch.setattr("hw.estimate.solver.FEW", 0)
    near = solve(problem)
    if not values:
        assert found is None and shared is None and near is None
        return
    assert found is not None and shared is not None
    assert found.choice not in banned
    assert found.bound == found.value == problem.value(found.choice) == min(values)
    assert shared.value[0] == min(values)[0]
    assert near is not None and near.choice not in banned and near.value == problem.value(near.choice)
    assert near.bound <= min(values) and near.value[0] <= Fraction(101, 100) * min(values)[0]


def test_a_limit_of_nodes_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a choice that is not found within it, nor where it is not known within it that there is none."""
    groups = [np.random.default_rng([31, number]).integers(100, 900, (10, 4)) for number in range(8)]
    problem = Problem(groups=groups, fixed=np.zeros(4, np.int64), room=[Fraction(5000)] * 4, then=(0, 1))
    found = solve(problem)
    monkeypatch.setattr("hw.estimate.solver.NODES", 1)
    limited = solve(problem)
    assert found is not None and limited is not None and limited.value[0] == found.value[0]


# --- small networks ---


@dataclass(frozen=True)
class Design:
    """A network in one of its foldings: cycles, and what it takes in the estimate of the whole."""

    cycles: int
    lut: int
    ff: int
    dsp: int
    bram: float

    def value(self, device: Device, fill: Fraction) -> tuple[Fraction, int, int]:
        """The largest share of what may be used, DSPs, LUTs. LUTs and flip-flops may be 20 % off."""
        has = device.has
        shares = [
            Fraction(5, 4) * self.lut / (has.lut * fill),
            Fraction(5, 4) * self.ff / (has.ff * fill),
            Fraction(self.dsp) / (has.dsp * fill),
            Fraction(self.bram) / (Fraction(has.bram) * fill),
        ]
        return max(shares), self.dsp, self.lut


@cache
def small_networks() -> list[IntegerNetwork]:
    """Random networks of all ops, of few foldings."""
    found = []
    for seed in itertools.count():
        network = random_network(np.random.default_rng([32, seed]), steps=2)
        count = np.prod([len(list(options(network, step))) for step in network.steps])
        if FEW_FOLDINGS <= count <= MANY_FOLDINGS:
            found.append(network)
        if len(found) == SMALL_NETWORKS:
            return found
    raise AssertionError


def options(network: IntegerNetwork, step: Step) -> Iterator[tuple[Folding, MadeOf | None]]:
    """All foldings of a step, with all that multiplications may be made of."""
    for folding in step_foldings(sides_of(network, step)):
        if step.name not in multiplying(network):
            yield folding, None
            continue
        for products, requantise in itertools.product(MATERIALS, MATERIALS):
            yield folding, MadeOf(products=products, requantise=requantise)


def designs(base: NetworkConfig) -> Iterator[Design]:
    """The network in all ways."""
    names = [step.name for step in base.network.steps]
    for ways in itertools.product(*(options(base.network, step) for step in base.network.steps)):
        foldings = {name: folding for name, (folding, _) in zip(names, ways, strict=True)}
        made_of = {name: own for name, (_, own) in zip(names, ways, strict=True) if own is not None}
        plan = NetworkPlan(replace(base, foldings=foldings, made_of=made_of))
        cost = estimate_network(plan)
        assert cost.dsp is not None and cost.bram is not None
        yield Design(plan.schedule.interval, cost.lut, cost.ff, cost.dsp, cost.bram)


@pytest.mark.parametrize("number", thorough_from(range(SMALL_NETWORKS), 1, 6))
def test_small_networks_against_all_foldings(number: int) -> None:
    """The device is as large as every second folding needs. FIFOs and all else are in what is compared."""
    network, device = small_networks()[number], DEVICES[("ecp5-25f", "zynq-7010", "k26")[number % 3]]
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, 1), target=device.target)
    every = list(designs(base))
    shares = sorted(design.value(device, Fraction(1))[0] for design in every)
    fill = float(min(shares[len(shares) // 2], Fraction(1)))
    values = {design: design.value(device, Fraction(str(fill))) for design in every}
    fits = [design for design in every if values[design][0] <= 1]

    fastest = min(design.cycles for design in fits)
    for most in (None, 2 * fastest, 5 * fastest):
        wish = Wish(device=device, fps=None if most is None else 1e6 / most, clock_mhz=1, fill=fill)
        chosen = choose(NetworkSpace(base, wish))
        limit = fastest if most is None else wish.most_cycles
        assert limit is not None
        best = min(values[design] for design in fits if design.cycles <= limit)
        assert chosen.found.is_least
        assert chosen.found.value == best and chosen.found.cycles <= limit
        # What is said of the next ones holds.
        if chosen.faster is not None:
            cycles = chosen.faster.cycles
            assert cycles < chosen.found.cycles
            assert chosen.faster.value == min(values[design] for design in every if design.cycles <= cycles)
            assert most is not None or not chosen.faster.fits
        if chosen.slower is not None:
            assert chosen.slower.cycles > chosen.found.cycles
            assert chosen.slower.value[0] < best[0]


@pytest.mark.parametrize("number", thorough_from(range(8), 1, 4))
def test_what_the_solver_knows_is_a_bound(number: int) -> None:
    """No network takes less of anything than the solver counts: what it does not know yet only adds."""
    network, device = small_networks()[number], DEVICES["ecp5-85f" if number % 2 else "k26"]
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, 1), target=device.target)
    space = NetworkSpace(base, Wish(device=device))
    sizes = [range(len(group)) for group in space.problem(space.cycles[-1]).groups]
    check_bound(space, itertools.product(*sizes))


@thorough
def test_it_is_a_bound_where_taps_take_the_place_of_a_larger_frame() -> None:
    """Projections store less of the frame then, and no fork stands in front of them."""
    network, device = graph_case("projections_from_windows").network, DEVICES["ecp5-85f"]
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, 1), target=device.target)
    space = NetworkSpace(base, Wish(device=device))
    rng, sizes = np.random.default_rng(5), [len(group) for group in space.problem(space.cycles[-1]).groups]
    check_bound(space, [[0] * len(sizes), *rng.integers(0, sizes, (6, len(sizes))).tolist()])


def check_bound(space: NetworkSpace, choices: Iterable[Sequence[int]]) -> None:
    problem = space.problem(space.cycles[-1])
    for choice in choices:
        amounts = space.estimated(space.cycles[-1], choice).amounts
        known = problem.amounts(choice)
        assert all(a <= b for a, b in zip(known, amounts, strict=True)), (choice, known, amounts)
        assert known[2] == amounts[2], "multipliers are known exactly"


@nightly
def test_a_large_network_in_a_minute() -> None:
    network, device = load_network("resnet20"), DEVICES["k26"]
    began = time.process_time()
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, 1), target=device.target)
    chosen = choose(NetworkSpace(base, Wish(device=device)))
    assert time.process_time() - began < 60
    assert chosen.found.fits and chosen.faster is not None and not chosen.faster.fits
    # The search ends early there. What it has found is near what nothing can be better than.
    assert chosen.found.bound[0] <= chosen.found.value[0] <= Fraction(21, 20) * chosen.found.bound[0]


# --- commands ---


@pytest.fixture
def network(tmp_path: Path) -> str:
    case = GraphCase(draw=lambda d: d.layer(d.layer(IMAGE, 4), 4), image=(4, 6, 6))
    write_network(tmp_path / "net.npz", case.config(1).network)
    return str(tmp_path / "net.npz")


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    monkeypatch.chdir(tmp_path)
    return refusal(build.main, lambda: sorted(map(str, tmp_path.rglob("*"))), monkeypatch, capfd)


def test_what_is_said_of_a_choice(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folding that is written is the one that fits, and what is said of it is true."""
    folding = tmp_path / "folding.json"
    asked = [network, "--device", "ecp5-12f", "--fastest", "--mhz", "50"]
    assert build.main([*asked, "--estimate", "--write-folding", str(folding)]) == 0
    shown = re.sub(r"\s*│\n│\s*│\s*", " ", capsys.readouterr().out)
    cycles = int(re.search(r"│ frame +│ ([\d,]+) cycles", shown)[1].replace(",", ""))  # type: ignore[index]
    rate = int(re.search(r"│ rate +│ ([\d,]+) frames/s at 50 MHz, taken", shown)[1].replace(",", ""))  # type: ignore[index]
    assert rate == 50_000_000 // cycles
    assert re.search(r"fits ecp5-12f +│ yes", shown) and re.search(r"target +│ ecp5 ", shown)
    assert re.search(r"binds +│ (about )?[\d,]+ \w+ of [\d,]+ that may be used, [\d.]+ %", shown)
    faster = re.search(r"one step faster +│ ([\d,]+) cycles would take .*?(\d+) DSP of 28", shown)
    assert faster is not None and int(faster[1].replace(",", "")) < cycles and int(faster[2]) > 28
    assert re.search(r"one step slower +│ [\d,]+ cycles: .*-\d+ DSP", shown)

    model = load_network(network)
    assert set(json.loads(folding.read_text())) == {step.name for step in model.steps}
    # The same by itself is as fast. A rate that is a little higher is not there.
    assert build.main([network, "--target", "ecp5", "--folding", str(folding), "--estimate"]) == 0
    assert f"{cycles:,} cycles" in capsys.readouterr().out


def test_more_than_there_is(refuse: Refuse, tmp_path: Path) -> None:
    """All products of the layer at once do not fit the device, whatever they are made of."""
    case = GraphCase(draw=lambda d: d.layer(IMAGE, 4), image=(8, 6, 6))
    network = str(tmp_path / "layer.npz")
    write_network(tmp_path / "layer.npz", case.config(1).network)
    line = refuse(network, "--device", "ecp5-12f", "--fps", "1e9")
    asked = "error: 1,000,000,000 fps are out of reach on ecp5-12f at 110 MHz"
    assert re.fullmatch(rf"{asked}: at most [\d,]+ frames/s fit\n", line)
    most = re.search(r"at most ([\d,]+)", line)
    assert most is not None
    least = int(most[1].replace(",", ""))
    line = refuse(network, "--device", "ecp5-12f", "--fps", str(round(1.2 * least)))
    assert re.search(r"the least that is fast enough takes .*[\d,]+ \w+ of [\d,]+; at most", line)
    assert build.main([network, "--device", "ecp5-12f", "--fps", str(least), "--estimate"]) == 0


def test_nothing_fits(refuse: Refuse, network: str) -> None:
    """The line names what there is too little of."""
    line = refuse(network, "--device", "ecp5-12f", "--fastest", "--fill", "0.1")
    assert re.match(r"error: nothing fits ecp5-12f: the least takes about [\d,]+ LUT of 971, .*\d+ DSP of 2\b", line)
    line = refuse(network, "--device", "ecp5-12f", "--lanes", "8")
    assert re.match(r"error: the network does not fit ecp5-12f: .* of .*, of which step '\w+' takes", line)


def test_devices_of_the_page() -> None:
    """The page names all devices, with what each has."""
    rows = re.findall(
        r"^\| `([\w-]+)` \| [\w -]+ \| `(\w+)` \| (.*?) \| (?:Lattice|AMD)", PAGE.read_text(), re.MULTILINE
    )
    assert [name for name, *_ in rows] == list(DEVICES)
    for name, target, amounts in rows:
        has = DEVICES[name].has
        assert DEVICES[name].target.name == target
        found = [int(amount.replace(",", "")) for amount in amounts.split(" | ")]
        assert found == [has.lut, has.ff, has.dsp, has.bram, has.uram]
