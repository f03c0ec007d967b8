"""Automatic folding of a network: each step within a number of cycles, as cheap as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from golden.contract.folding import Folding
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.step import Step
from golden.support.cli import UserError
from golden.support.numbers import number
from hw.estimate.nodes import node_area
from hw.network.config import NetworkConfig, multiplying
from hw.network.folding import Sides, divisors, sides_of
from hw.network.graph import Graph, Placed
from hw.network.ideal import ideal_cycles
from hw.network.lower import step_graph
from hw.network.nodes.unit import UnitNode
from hw.network.schedule import node_cycles
from hw.network.taps import find_taps, possible_taps
from hw.plan.dsp_count import fewest_dsps
from hw.plan.made_of import USUAL, MadeOf, choices_of

#: Rounds after which the foldings of steps beside taps are left as they are.
ROUNDS = 4


def cheapest_within(config: NetworkConfig, cycles: int) -> dict[str, Folding]:
    """For each step the folding with the fewest DSPs, then LUTs, that takes at most ``cycles`` a frame.

    Of foldings that cost the same, the one with the fewest lanes is taken. What a tap costs, and what it spares the
    step that takes its pixels, depends on both steps. So these are chosen again until none changes, `ROUNDS` times at
    most.

    Raises `UserError`, naming the step, where a step has none.
    """
    steps = config.network.steps
    config = replace(config, foldings={step.name: _cheapest(config, step, cycles) for step in steps})
    beside = _beside_taps(config.network)
    for _ in range(ROUNDS):
        before = config.foldings
        for step in beside:
            chosen = _cheapest(config, step, cycles, tapped=True)
            config = replace(config, foldings={**config.foldings, step.name: chosen})
        if config.foldings == before:
            break
    return dict(config.foldings)


def _beside_taps(network: IntegerNetwork) -> list[Step]:
    """Steps whose units may have a tap, and layers that may take the pixels of one."""
    taps = possible_taps(network)
    names = {name for name, _ in taps} | {layer.name for layers in taps.values() for layer in layers}
    return [step for step in network.steps if step.name in names and isinstance(step, LayerStep)]


def _cheapest(config: NetworkConfig, step: Step, cycles: int, *, tapped: bool = False) -> Folding:
    best: tuple[int, ...] | None = None
    chosen = None
    candidates = [replace(candidate, tapped=tapped) for candidate in candidates_of(config, step)]
    enough = [candidate for candidate in candidates if candidate.ideal <= cycles]
    for candidate in sorted(enough, key=lambda candidate: candidate.fewest_dsps):
        # What is surely dearer than the best one so far is not looked at.
        if best is not None and candidate.fewest_dsps > best[0]:
            break
        if candidate.cycles > cycles or not candidate.can_be_built or (best is not None and candidate.dsps > best[0]):
            continue
        folding = candidate.folding
        cost = (candidate.dsps, candidate.luts, folding.simd * folding.pe, folding.simd)
        if best is None or cost < best:
            best, chosen = cost, folding
    if chosen is None:
        reached = [candidate.cycles for candidate in candidates if candidate.can_be_built]
        least = f"takes at least {number(min(reached))} cycles a frame" if reached else "cannot be built at all"
        raise UserError(f"step {step.name!r} {least}, asked for are {number(cycles)}")
    return chosen


def candidates_of(config: NetworkConfig, step: Step) -> Iterator[Candidate]:
    """All foldings of ``step``."""
    for folding in step_foldings(sides_of(config.network, step)):
        yield Candidate(config, step, Choice(folding=folding))


def made_candidates_of(config: NetworkConfig, step: Step) -> Iterator[Candidate]:
    """All foldings of ``step``, with all that its multiplications may be made of where ``config`` does not say that."""
    multiplies = step.name in multiplying(config.network)
    materials = choices_of(config.made_of.get(step.name, USUAL)) if multiplies else [USUAL]
    for candidate in candidates_of(config, step):
        for made_of in materials:
            yield replace(candidate, choice=replace(candidate.choice, made_of=made_of))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a step is built.

    Attributes:
        folding: elements that it takes and gives a beat.
        made_of: what its multiplications are made of; as the network's config says where nothing is asked for.
    """

    folding: Folding
    made_of: MadeOf = USUAL

    def applied(self, config: NetworkConfig, step: str) -> NetworkConfig:
        """``config`` with the step of this name built like that."""
        made_of = {} if self.made_of == USUAL else {step: self.made_of}
        foldings = {**config.foldings, step: self.folding}
        return replace(config, foldings=foldings, made_of={**config.made_of, **made_of})


@dataclass(frozen=True)
class Candidate:
    """A step as it may be built. What takes longer to find is found when it is asked for.

    Attributes:
        config: the network. It says how the other steps are folded.
        step: the step.
        choice: how it is built.
        tapped: whether `luts` are those with the taps that there are between steps folded like that.
    """

    config: NetworkConfig
    step: Step
    choice: Choice
    tapped: bool = False

    @property
    def folding(self) -> Folding:
        return self.choice.folding

    @cached_property
    def graph(self) -> Graph:
        """The step's nodes alone, without taps. With taps it has as many multipliers, and takes no more cycles."""
        return step_graph(self.choice.applied(self.config, self.step.name), self.step, {})

    @property
    def nodes(self) -> list[Placed]:
        return self.graph.nodes

    @cached_property
    def ideal(self) -> int:
        return ideal_cycles(self.config.network, self.step, self.folding)

    @cached_property
    def cycles(self) -> int:
        """Cycles that the nodes take."""
        return max(self.ideal, *map(node_cycles, self.nodes))

    @cached_property
    def fewest_dsps(self) -> int:
        """A bound on `dsps` that is quickly found."""
        units = (placed.node.config for placed in self.nodes if isinstance(placed.node, UnitNode))
        return sum(map(fewest_dsps, units))

    @property
    def can_be_built(self) -> bool:
        """Whether no lane is wider than a vector may be."""
        try:
            return all(placed.node.shapes for placed in self.nodes if isinstance(placed.node, UnitNode))
        except UserError:
            return False

    @cached_property
    def dsps(self) -> int:
        return sum(placed.node.dsps for placed in self.nodes if isinstance(placed.node, UnitNode))

    @cached_property
    def luts(self) -> int:
        config, nodes = self.config, self.nodes
        if self.tapped:
            config = self.choice.applied(config, self.step.name)
            nodes = step_graph(config, self.step, find_taps(config, self.step)).nodes
        return sum(node_area(placed.node, config.target).lut for placed in nodes)


def step_foldings(sides: Sides) -> Iterator[Folding]:
    """All foldings of a step."""
    for simd in divisors(sides.taken):
        for pe in [simd] if sides.alike else divisors(sides.given):
            yield Folding(simd=simd, pe=pe)
