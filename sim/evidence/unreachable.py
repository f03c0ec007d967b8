"""What a unit never does, proven by induction over its gates.

A claim is about one cycle (a bit never has a value) or about two successive cycles (a bit never rises).
All claims are assumed for the cycles before, and must follow for the next. Claims that do not follow are
dropped, and the rest is tried again, until all claims that are left follow from each other. So claims that
hold only together prove each other, like those on a counter and on all that it addresses.

The unit's inputs, reset included, may have any value in every cycle. The outputs of multipliers and
primitives may have any value, too. That can make a proof fail, but never lets a false claim pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sim.evidence.gates import TRUE, Bit, Clauses, Gates
from sim.evidence.random_runs import ALL, RandomRuns

T = TypeVar("T")

#: Every value of a register of up to so many bits is tried as one that it never has.
SMALL = 5


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The claim that some bits never have some values all at once.

    Attributes:
        now: bits and their values in a cycle.
        then: bits and their values in the next cycle; empty for a claim about one cycle.
    """

    now: tuple[tuple[Bit, int], ...]
    then: tuple[tuple[Bit, int], ...] = ()


def never(bit: Bit, value: int) -> Claim:
    """The claim that ``bit`` never has ``value``."""
    return Claim(now=((bit, value),))


def never_becomes(bit: Bit, value: int) -> Claim:
    """The claim that ``bit`` never changes to ``value``."""
    return Claim(now=((bit, 1 - value),), then=((bit, value),))


def proven(gates: Gates, claims: Iterable[Claim], fixed: Mapping[int, int] | None = None) -> set[Claim]:
    """Claims that are proven for every cycle from power-up on: some of ``claims``, and others about small registers.

    A claim that is missing may hold, too.

    Args:
        fixed: the inputs and flip-flops that keep a value, with that value.
    """
    known = {bit: TRUE if value else -TRUE for bit, value in (fixed or {}).items()}
    alive = _plausible(gates, dict.fromkeys([*claims, *_about_registers(gates)]), fixed or {})
    for from_start in (True, False):
        if alive:
            alive = _Trial(gates, alive, known, from_start=from_start).surviving()
    return set(alive)


def _plausible(gates: Gates, claims: Iterable[Claim], fixed: Mapping[int, int]) -> list[Claim]:
    """Those of ``claims`` that random runs do not refute. For all others, the proof need not find a state."""
    runs = RandomRuns(gates, fixed)
    alive = list(claims)
    if not alive:
        return []
    place, later, inverted = _in_runs(runs, alive)
    for values, following in itertools.pairwise(runs.cycles()):
        words = np.where(later[..., None], following[place], values[place])
        holds = ~np.bitwise_and.reduce(words ^ inverted[..., None], axis=1).any(axis=1)
        alive = list(itertools.compress(alive, holds))
        place, later, inverted = (array[holds] for array in (place, later, inverted))
    return alive


def _in_runs(runs: RandomRuns, claims: Sequence[Claim]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the bits of claims are in random runs, three arrays ``[claims, bits]``.

    The first has each bit's place. The second tells bits of the next cycle from those of the current one.
    The third has the words whose exclusive or turns the claimed value into 1.
    """
    rows = [
        [(runs.place(bit), later, value) for later, bits in ((0, claim.now), (1, claim.then)) for bit, value in bits]
        for claim in claims
    ]
    place, later, value = _table(rows).reshape(len(rows), -1, 3).transpose(2, 0, 1)
    return place, later.astype(bool), np.where(value, np.uint64(0), ALL)


def _table(rows: Sequence[Sequence[object]]) -> np.ndarray:
    """Rows of different lengths as an array, shorter ones padded."""
    longest = max(map(len, rows))
    return np.array([_padded(row, longest) for row in rows], np.int64)


def _padded(row: Sequence[T], length: int) -> list[T]:
    """``row`` padded to ``length`` with its last entry. Where all entries must hold, or one, that changes nothing."""
    return [*row, *[row[-1]] * (length - len(row))]


def _about_registers(gates: Gates) -> Iterable[Claim]:
    """Claims to try: a small register never has a value, alone or together with a flag of its module."""
    registers: dict[str, list[tuple[str, Sequence[Bit]]]] = {}
    for name, bits in gates.signals.items():
        if all(bit in gates.flip_flops for bit in bits):
            registers.setdefault(name.rpartition(".")[0], []).append((name, bits))
    for members in registers.values():
        flags = [(name, bits[0]) for name, bits in members if len(bits) == 1]
        for name, bits in members:
            if not 1 < len(bits) <= SMALL:
                continue
            for values in itertools.product((0, 1), repeat=len(bits)):
                place = tuple(zip(bits, values, strict=True))
                yield Claim(now=place)
                for flag, bit in flags:
                    if flag.startswith(name):
                        yield from (Claim(now=(*place, (bit, value))) for value in (0, 1))


class _Trial:
    """Claims, and the cycles that they are tried on.

    With ``from_start``, these are the first two cycles after power-up. Otherwise they are any three
    successive cycles, and the claims are assumed for the first two.
    """

    def __init__(self, gates: Gates, claims: Sequence[Claim], known: Mapping[int, int], *, from_start: bool) -> None:
        self._clauses = Clauses()
        self._cycles: list[dict[Bit, int]] = []
        state = {bit: TRUE if bit in gates.initial else -TRUE for bit in gates.flip_flops} if from_start else {}
        for _ in range(2 if from_start else 3):
            self._cycles.append(self._clauses.cycle(gates, {**state, **known}))
            state = {q: self._clauses.literal(self._cycles[-1], d) for q, d in gates.flip_flops.items()}
        solver = self._clauses.solver
        self._claims = claims
        #: For each claim, the literal that assumes it.
        assumes: list[int] = []
        #: For each claim and tried cycle, the literal that breaks it.
        breaks: list[list[int]] = []
        #: For each claim and tried cycle, the literals of which one must be true to keep it.
        kept: list[list[list[int]]] = []
        for claim in claims:
            assumes.append(self._clauses.new())
            starts = range(len(self._cycles) - (1 if claim.then else 0))
            assumed, tried = ((), starts) if from_start else (starts[:-1], starts[-1:])
            for start in assumed:
                solver.add_clause([-assumes[-1], *self._clause(claim, start)])
            kept.append([self._clause(claim, start) for start in tried])
            breaks.append([self._clauses.new() for _ in tried])
            for broken, clause in zip(breaks[-1], kept[-1], strict=True):
                solver.append_formula([-broken, -literal] for literal in clause)
        self._assumes, self._breaks = np.array(assumes, np.int64), _table(breaks)
        trials = self._breaks.shape[-1]
        clauses = _table([clause for row in kept for clause in _padded(row, trials)])
        self._kept = clauses.reshape(len(claims), trials, clauses.shape[-1])

    def surviving(self) -> list[Claim]:
        """The claims that are left when all that can break are dropped."""
        solver = self._clauses.solver
        alive = np.ones(len(self._claims), bool)
        while alive.any():
            some = self._clauses.new()
            solver.add_clause([-some, *self._breaks[alive].ravel().tolist()])
            if not solver.solve(assumptions=[some, *self._assumes[alive].tolist()]):
                break
            # All claims that break in this model are dropped, not only the one that the solver set out to break.
            model = np.array(solver.get_model()) > 0
            holds = model[np.abs(self._kept) - 1] == (self._kept > 0)
            alive &= holds.any(axis=2).all(axis=1)
        return list(itertools.compress(self._claims, alive))

    def _clause(self, claim: Claim, start: int) -> list[int]:
        """The clause of ``claim`` where its first cycle is ``start``."""
        parts = [(self._cycles[start], claim.now)]
        if claim.then:
            parts.append((self._cycles[start + 1], claim.then))
        return [
            -self._clauses.literal(literals, bit) if value else self._clauses.literal(literals, bit)
            for literals, bits in parts
            for bit, value in bits
        ]
