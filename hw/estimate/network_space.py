"""All foldings of a network on a device, and the least of them.

The steps of a network do not depend on each other, but for what joins them. A step in a folding is an
option of the step's group (`hw.estimate.solver`). Forks are counted whatever is chosen, and relays and width
adapters by what is chosen on both sides. What depends on when beats move is not known before the
schedule: FIFOs, the pacer, how units complete a frame. It only adds. So what the solver finds is a
bound, and each choice of its is estimated as a whole. The search ends when no other choice can be
better, or after `ROUNDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from golden.contract.network.step import Step
from golden.support.cli import UserError
from hw.estimate.cells import Cells
from hw.estimate.choose_for_device import Found, found_of
from hw.estimate.choose_network_folding import Candidate, Choice, made_candidates_of
from hw.estimate.edges import adapter_area, fork_area, relay_area
from hw.estimate.hopeless import hopeful, surely_takes
from hw.estimate.network import estimate_network
from hw.estimate.nodes import node_area
from hw.estimate.solver import Link, Problem, least_share, solve
from hw.estimate.wish import THEN_PLACES, Wish, counted
from hw.network.beat import Beat
from hw.network.config import NetworkConfig
from hw.network.graph import IMAGE
from hw.network.lower import of_centres
from hw.network.nodes.replay import Replay
from hw.network.nodes.unit import UnitNode
from hw.network.plan import NetworkPlan
from hw.network.taps import possible_taps
from hw.targets.area import RESOURCES, Area
from hw.targets.families import Target

#: Rounds of a network of one step, divided by the square of the number of steps: a whole estimate of each.
ROUNDS = 400
#: Least number of rounds.
FEWEST_ROUNDS = 1
#: What every network has beside its nodes and edges at least.
_AROUND = Area(lut=4, ff=1)


@dataclass(frozen=True, kw_only=True)
class _Option:
    """What a step may be.

    Attributes:
        choice: how the step is built.
        cycles: cycles of a frame.
        costs: what its nodes take at least, and what is between them.
        taken: beats of each of its inputs.
        given: the beats that it gives. None where it passes on those that it takes; then it has no inputs, either.
    """

    choice: Choice
    cycles: int
    costs: Sequence[int]
    taken: Sequence[Beat]
    given: Beat | None


class NetworkSpace:
    """The `hw.estimate.choose_for_device.Space` of the network ``config``, whatever its foldings are.

    Raises `UserError` where a step cannot be built at all.
    """

    def __init__(self, config: NetworkConfig, wish: Wish) -> None:
        self._config, self._wish = config, wish
        self._options = {step.name: self._hopeful(step) for step in config.network.steps}
        self._found: dict[int, Found[NetworkConfig]] = {}

    @property
    def wish(self) -> Wish:
        return self._wish

    @cached_property
    def cycles(self) -> Sequence[int]:
        every = {option.cycles for own in self._options.values() for option in own}
        slowest = max(min(option.cycles for option in own) for own in self._options.values())
        return sorted(cycles for cycles in every if cycles >= slowest)

    def least_share(self, cycles: int) -> Fraction:
        solution = least_share(self.problem(cycles))
        assert solution is not None, "nothing is banned"
        return solution.bound[0]

    def least(self, cycles: int) -> Found[NetworkConfig]:
        if cycles not in self._found:
            self._found[cycles] = self._find(cycles)
        return self._found[cycles]

    def problem(self, cycles: int) -> Problem:
        """What is known of all designs of at most so many ``cycles``, before their schedules."""
        options, cells = self._at(cycles), Cells(self._config.target)
        places = {name: place for place, name in enumerate(options)}
        links = []
        for step in self._config.network.steps:
            for number, name in enumerate(step.inputs):
                if name in options and options[name][0].given and options[step.name][0].taken:
                    link = _link(cells, options[name], options[step.name], number)
                    links.append(Link(first=places[name], second=places[step.name], **link))
        return Problem(
            groups=[np.array([option.costs for option in own], dtype=np.int64) for own in options.values()],
            links=links,
            fixed=np.array(counted(_AROUND + self._forks), dtype=np.int64),
            room=self._wish.room,
            then=THEN_PLACES,
        )

    def estimated(self, cycles: int, choice: Sequence[int]) -> Found[NetworkConfig]:
        """A choice of options of `problem`, with all that it takes."""
        config = self._config
        for (name, options), option in zip(self._at(cycles).items(), choice, strict=True):
            config = options[option].choice.applied(config, name)
        plan = NetworkPlan(config)
        return found_of(self._wish, config, plan.schedule.interval, estimate_network(plan).area)

    def _find(self, cycles: int) -> Found[NetworkConfig]:
        problem = self.problem(cycles)
        solution = solve(problem)
        assert solution is not None, "nothing is banned"
        best, bound = self.estimated(cycles, solution.choice), solution.bound
        seen, beside = [solution.choice], self._beside(problem, best, solution.choice)
        for _ in range(max(FEWEST_ROUNDS, ROUNDS // len(problem.groups) ** 2)):
            # What is the least if all that is not known yet takes as much as it did; then if it takes nothing.
            for fixed in (problem.fixed + beside, problem.fixed):
                solution = solve(replace(problem, fixed=fixed, banned=seen))
                if solution is None:
                    return replace(best, bound=best.value)
                if fixed is problem.fixed:
                    bound = max(bound, solution.bound)
                    if bound >= best.value:
                        return replace(best, bound=best.value)
                found = self.estimated(cycles, solution.choice)
                beside = self._beside(problem, found, solution.choice)
                seen.append(solution.choice)
                best = min(best, found, key=lambda each: each.value)
        return replace(best, bound=bound)

    def _beside(self, problem: Problem, found: Found[NetworkConfig], choice: Sequence[int]) -> np.ndarray:
        """What a choice takes that the problem does not know of."""
        return np.array(found.amounts) - np.array(problem.amounts(choice))

    def _hopeful(self, step: Step) -> list[_Option]:
        """What a step may be, without what is far beyond the device."""
        candidates = made_candidates_of(self._config, step)
        found = hopeful((self._surely_takes(candidate), candidate) for candidate in candidates)
        may_take_centres = any(name == step.name for name, _ in possible_taps(self._config.network))
        options = [_option(candidate, may_take_centres) for candidate in found if candidate.can_be_built]
        if not options:
            raise UserError(f"step {step.name!r} cannot be built for {self._wish.device.name} at all")
        # What is made of something else and takes as much is the same.
        alike = {(option.choice.folding, option.cycles, tuple(option.costs)): option for option in reversed(options)}
        return list(reversed(alike.values()))

    def _surely_takes(self, candidate: Candidate) -> Fraction:
        units = [placed.node.config for placed in candidate.nodes if isinstance(placed.node, UnitNode)]
        return surely_takes(self._wish, units, candidate.fewest_dsps)

    def _at(self, cycles: int) -> dict[str, list[_Option]]:
        """For each step what it may be in so many cycles."""
        return {name: [option for option in own if option.cycles <= cycles] for name, own in self._options.items()}

    @cached_property
    def _forks(self) -> Area:
        """Forks of results at least.

        Where a step passes on what it takes, its takers may count as those of another result. What may take its beats
        from a tap counts as no taker.
        """
        network, total = self._config.network, Area()
        tapped = possible_taps(network)
        passing = {name for name, own in self._options.items() if own[0].given is None}
        for name in network.results:
            takers = [
                step.name
                for step in network.steps
                for place, taken in enumerate(step.inputs)
                if taken == name and (step.name, place) not in tapped
            ]
            if takers and not passing & {name, *takers}:
                total += fork_area(Cells(self._config.target), len(takers) + (name == network.output))
        return total


def _option(candidate: Candidate, may_take_centres: bool) -> _Option:
    graph, step, cells = candidate.graph, candidate.step, Cells(candidate.config.target)
    costs = np.zeros(len(RESOURCES), np.int64)
    taken = []
    for placed in graph.nodes:
        costs += _least_area(placed.node, candidate.config.target, may_take_centres)
        for output in placed.node.outputs:
            costs += counted(relay_area(cells, output))
        for source, wanted in zip(placed.sources, placed.node.inputs, strict=True):
            if source.node == IMAGE:
                taken.append(wanted)
            else:
                costs += _way(cells, graph.beat(source), wanted)
    given = None if graph.output.node == IMAGE else graph.beat(graph.output)
    if step.name == candidate.config.network.output and given is not None:
        costs += _way(cells, given, replace(given, lanes=candidate.folding.pe))
    return _Option(choice=candidate.choice, cycles=candidate.cycles, costs=costs.tolist(), taken=taken, given=given)


def _least_area(node: Any, target: Target, may_take_centres: bool) -> np.ndarray:
    """What a node takes at least, whatever the schedule says, and wherever taps are."""
    forms: list[Any] = [node]
    if isinstance(node, Replay):
        # A ring that is less deep may be in LUTs.
        forms.append(replace(node, depth=node.least_places))
    if isinstance(node, UnitNode) and may_take_centres:
        # It stores less of a frame if its pixels come out of a tap.
        forms.append(replace(node, config=node.config.of_layer(of_centres(node.config.layer))))
    return np.min([counted(node_area(form, target)) for form in forms], axis=0)


def _way(cells: Cells, given: Beat, wanted: Beat) -> np.ndarray:
    """What is on an edge at least: a relay and a width adapter."""
    given = replace(given, bits=wanted.bits)
    return np.array(counted(relay_area(cells, given) + adapter_area(cells, given, wanted.lanes)))


def _link(cells: Cells, first: Sequence[_Option], second: Sequence[_Option], number: int) -> dict[str, np.ndarray]:
    """What is between the options of a step and those of one that takes its result as input ``number``."""
    given = {option.given.lanes: option.given for option in first if option.given is not None}
    wanted = {option.taken[number].lanes: option.taken[number] for option in second}
    return {
        "first_kinds": np.array([list(given).index(option.given.lanes) for option in first if option.given]),
        "second_kinds": np.array([list(wanted).index(option.taken[number].lanes) for option in second]),
        "costs": np.array([[_way(cells, a, b) for b in wanted.values()] for a in given.values()]),
    }
