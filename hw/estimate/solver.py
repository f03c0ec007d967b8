"""Solver: one option of each of several groups, so that all together take the least of what there is.

Amounts are integers: halves of block RAMs are counted. A mixed-integer program of scipy (HiGHS) finds a
choice. Of a few options it is the least, which is decided in integers: no other choice stays below its
largest share. Of many options, the search for the last part in a thousand would take hours. There it ends
within `GAP` of a bound, which is told.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

#: Options up to which the search goes on to the end, and the relative gap to the bound at which it ends beyond them.
FEW, GAP = 400, 0.005
#: Beyond them, the weight of what decides between choices whose largest share is the same.
TIE = 0.001
#: Nodes of the search tree after which the gap is made wider, and twice as many are allowed: a gap says nothing where
#: there may be no choice at all. A limit in seconds would let the machine decide.
NODES = 5_000
#: What scipy says of a program: solved within the gap, no choice there, or that a limit ended it.
SOLVED, INFEASIBLE, LIMIT = 0, 2, 4
#: What stands for the room of a resource that there is nothing of: each piece is a million times too much.
NOTHING = Fraction(1, 10**6)


@dataclass(frozen=True, kw_only=True)
class Link:
    """What two groups cost together beside what each of them costs.

    Attributes:
        first, second: the groups.
        first_kinds, second_kinds: the kind of each option of the two.
        costs: int64 ``[first kind, second kind, resource]``.
    """

    first: int
    second: int
    first_kinds: np.ndarray
    second_kinds: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Groups of options.

    Attributes:
        groups: for each group the costs of its options, int64 ``[option, resource]``.
        links: what pairs of groups cost beside that.
        fixed: what is taken whatever is chosen, int64 ``[resource]``.
        room: for each resource how much may be taken.
        then: resources that decide, one after the other, between choices whose largest share is the same.
        banned: choices that are out of the question.
    """

    groups: Sequence[np.ndarray]
    links: Sequence[Link] = ()
    fixed: np.ndarray
    room: Sequence[Fraction]
    then: Sequence[int] = ()
    banned: Sequence[tuple[int, ...]] = ()

    def amounts(self, choice: Sequence[int]) -> list[int]:
        """What a choice takes of each resource."""
        total = self.fixed + sum(group[option] for group, option in zip(self.groups, choice, strict=True))
        for link in self.links:
            total = total + link.costs[link.first_kinds[choice[link.first]], link.second_kinds[choice[link.second]]]
        return [int(amount) for amount in total]

    def value(self, choice: Sequence[int]) -> Value:
        """What makes a choice better than another: the less, the better."""
        return value_of(self.amounts(choice), self.room, self.then)


#: The largest share of what there is, then amounts. Values of better choices are smaller.
Value = tuple[Fraction, ...]


def value_of(amounts: Sequence[int], room: Sequence[Fraction], then: Sequence[int]) -> Value:
    """The value of a choice that takes these ``amounts``."""
    return (share_of(amounts, room), *(Fraction(amounts[resource]) for resource in then))


def share_of(amounts: Sequence[int], room: Sequence[Fraction]) -> Fraction:
    """The largest share of what there is."""
    return max(Fraction(amount) / (has or NOTHING) for amount, has in zip(amounts, room, strict=True))


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A choice.

    Attributes:
        choice: the option of each group.
        value: its value.
        bound: no choice has a smaller value.
    """

    choice: tuple[int, ...]
    value: Value
    bound: Value


def solve(problem: Problem) -> Solution | None:
    """The choice whose value is the least; None where all choices are banned."""
    return _Program(problem).solve()


def least_share(problem: Problem) -> Solution | None:
    """The choice whose largest share is the least, whatever it takes beside that; None where all are banned."""
    return _Program(replace(problem, then=())).solve()


@dataclass(frozen=True)
class _Program:
    problem: Problem

    def solve(self) -> Solution | None:
        return self._exactly() if self._options <= FEW else self._nearly()

    def _exactly(self) -> Solution | None:
        p = self.problem
        best, _ = self._least(self._share, gap=0)
        while best is not None:
            # What is better takes less than this of every resource.
            share = p.value(best)[0]
            better, _ = self._least(self._share, [_below(share, has or NOTHING) for has in p.room], gap=0)
            if better is None:
                break
            best = better
        if best is None:
            return None
        limits = [_up_to(p.value(best)[0], has or NOTHING) for has in p.room]
        for resource in p.then:
            found, _ = self._least(self._amounts[resource], limits, gap=0)
            # Tolerances of the solver may hide what is known.
            best = min((choice for choice in (found, best) if choice is not None), key=p.value)
            limits[resource] = p.amounts(best)[resource]
        return Solution(choice=best, value=p.value(best), bound=p.value(best))

    def _nearly(self) -> Solution | None:
        p, weights = self.problem, [TIE / 10**place for place in range(len(self.problem.then))]
        ties = sum(
            (
                weight * self._amounts[resource] / self._room[resource]
                for weight, resource in zip(weights, p.then, strict=True)
            ),
            start=np.zeros_like(self._share),
        )
        choice, least = self._least(self._share + ties, gap=GAP)
        if choice is None:
            return None
        # No share of a resource is above the largest, so what decides ties is at most so much of it.
        bound = Fraction(least) / (1 + Fraction(sum(weights)))
        return Solution(choice=choice, value=p.value(choice), bound=min((bound,), p.value(choice)))

    def _least(
        self, objective: np.ndarray, limits: Sequence[int] | None = None, *, gap: float
    ) -> tuple[tuple[int, ...] | None, float]:
        """The choice with the least ``objective`` that stays within ``limits``, and a bound on the objective."""
        nodes = NODES
        while (result := self._run(objective, limits, gap, nodes)).status == LIMIT:
            gap, nodes = max(4 * gap, GAP), 2 * nodes
        assert result.status in (SOLVED, INFEASIBLE), result.message
        if result.status == INFEASIBLE:
            return None, np.inf
        chosen = np.round(result.x[: self._options])
        choice = tuple(int(np.argmax(chosen[start:end])) for start, end in self._spans)
        return choice, result.mip_dual_bound

    def _run(self, objective: np.ndarray, limits: Sequence[int] | None, gap: float, nodes: int) -> Any:
        # Half a second that only some commands need.
        from scipy.optimize import Bounds, LinearConstraint, milp

        p = self.problem
        constraints = [LinearConstraint(self._marginals, *self._marginal_sums)]
        shares = self._amounts - np.outer(self._room, self._share)
        constraints.append(LinearConstraint(shares / self._room[:, None], -np.inf, -p.fixed / self._room))
        if limits is not None:
            constraints.append(LinearConstraint(self._amounts, -np.inf, np.array(limits) - p.fixed))
        if p.banned:
            constraints.append(LinearConstraint(self._bans, -np.inf, len(p.groups) - 1))
        size = len(objective)
        with _quiet():
            return milp(
                objective,
                integrality=np.arange(size) < self._options,
                bounds=Bounds(np.zeros(size), np.concatenate([np.ones(size - 1), [np.inf]])),
                constraints=constraints,
                options={"mip_rel_gap": gap, "node_limit": nodes},
            )

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """The variables of each group."""
        ends = np.cumsum([len(group) for group in self.problem.groups])
        return [(int(end) - len(group), int(end)) for end, group in zip(ends, self.problem.groups, strict=True)]

    @property
    def _options(self) -> int:
        return self._spans[-1][1]

    @cached_property
    def _room(self) -> np.ndarray:
        """What there is of each resource."""
        return np.array([float(has or NOTHING) for has in self.problem.room])

    @cached_property
    def _amounts(self) -> np.ndarray:
        """``[resource, variable]``: options, then pairs of kinds of each link, then the largest share."""
        p = self.problem
        pairs = [link.costs.reshape(-1, len(p.room)) for link in p.links]
        return np.concatenate([*p.groups, *pairs, np.zeros((1, len(p.room)))]).T.astype(float)

    @cached_property
    def _share(self) -> np.ndarray:
        """The variable of the largest share."""
        return np.eye(1, self._amounts.shape[1], self._amounts.shape[1] - 1)[0]

    @cached_property
    def _marginals(self) -> Any:
        """Sums of variables: one option of each group, and as many pairs of each kind as options of that kind."""
        from scipy.sparse import lil_matrix

        p, rows = self.problem, len(self.problem.groups) + sum(sum(link.costs.shape[:2]) for link in self.problem.links)
        matrix = lil_matrix((rows, self._amounts.shape[1]))
        for row, (start, end) in enumerate(self._spans):
            matrix[row, start:end] = 1
        row, pair = len(p.groups), self._options
        for link in p.links:
            first, second = link.costs.shape[:2]
            pairs = np.arange(pair, pair + first * second).reshape(first, second)
            for places, group, kinds in (
                (pairs, link.first, link.first_kinds),
                (pairs.T, link.second, link.second_kinds),
            ):
                for kind, place in enumerate(places):
                    matrix[row, place] = 1
                    matrix[row, self._spans[group][0] + np.flatnonzero(kinds == kind)] = -1
                    row += 1
            pair += first * second
        return matrix.tocsr()

    @property
    def _marginal_sums(self) -> tuple[np.ndarray, np.ndarray]:
        sums = np.zeros(self._marginals.shape[0])
        sums[: len(self.problem.groups)] = 1
        return sums, sums

    @property
    def _bans(self) -> np.ndarray:
        bans = np.zeros((len(self.problem.banned), self._amounts.shape[1]))
        for row, choice in zip(bans, self.problem.banned, strict=True):
            row[[start + option for (start, _), option in zip(self._spans, choice, strict=True)]] = 1
        return bans


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what HiGHS prints in places, whatever it is told."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _below(share: Fraction, has: Fraction) -> int:
    """The largest amount that is less than a share."""
    return -(-share * has // 1) - 1


def _up_to(share: Fraction, has: Fraction) -> int:
    """The largest amount that is no more than a share."""
    return int(share * has // 1)
