"""What a unit never does: proven by induction over its gates.

A claim is about one cycle (a bit never has a value) or about two that follow each other (a bit never rises). All that
are asked for are assumed for the cycles before and must follow for the next; what does not follow is dropped, and the
rest tried again, until everything that is left follows from what is left. So claims that hold only together, like
those on a counter and on all that it addresses, prove each other.

The unit's inputs are free in every cycle, reset included, and so are the outputs of multipliers, which this treats as
able to have any value. That can only make a proof fail, never let a false one pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.gates import TRUE, Bit, Clauses, Gates
from sim.random_runs import ALL, RandomRuns

#: Registers of up to so many bits are asked for every value that they never have.
SMALL = 5


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That not all of some bits have some values.

    Attributes:
        now: bits and the values that they do not all have in a cycle.
        then: bits and values in the cycle behind, for a claim about two.
    """

    now: tuple[tuple[Bit, int], ...]
    then: tuple[tuple[Bit, int], ...] = ()


def never(bit: Bit, value: int) -> Claim:
    """``bit`` never has ``value``."""
    return Claim(now=((bit, value),))


def never_becomes(bit: Bit, value: int) -> Claim:
    """``bit`` never changes to ``value``."""
    return Claim(now=((bit, 1 - value),), then=((bit, value),))


def proven(gates: Gates, claims: Iterable[Claim], fixed: Mapping[int, int] | None = None) -> set[Claim]:
    """Claims that hold in every cycle from power-up on: some of ``claims``, and others about small registers.

    What is missing may hold, too.

    Args:
        fixed: inputs and flip-flops that keep a value.
    """
    known = {bit: TRUE if value else -TRUE for bit, value in (fixed or {}).items()}
    alive = _plausible(gates, dict.fromkeys([*claims, *_about_registers(gates)]), fixed or {})
    alive = _Trial(gates, alive, known, from_start=True).surviving()
    alive = _Trial(gates, alive, known, from_start=False).surviving()
    return set(alive)


def _plausible(gates: Gates, claims: Iterable[Claim], fixed: Mapping[int, int]) -> list[Claim]:
    """Those of ``claims`` that random runs do not refute, so that the proof need not find a state for each other."""
    runs = RandomRuns(gates, fixed)
    alive = list(dict.fromkeys(claims))
    before: np.ndarray | None = None
    for values in runs.cycles():
        alive = [claim for claim in alive if not _refuted(runs, claim, before, values)]
        before = values
    return alive


def _refuted(runs: RandomRuns, claim: Claim, before: np.ndarray | None, values: np.ndarray) -> bool:
    """Whether a run breaks ``claim`` in the cycle of ``values`` or, for a claim about two, in the one before and it."""
    now = before if claim.then else values
    if now is None:
        return False
    lanes = ALL
    for cycle, bits in ((now, claim.now), (values, claim.then)):
        for bit, value in bits:
            word = cycle[runs.place(bit)]
            lanes = lanes & (word if value else ~word)
    return bool(np.any(lanes))


def _about_registers(gates: Gates) -> Iterable[Claim]:
    """Values that small registers may never have, alone or together with a flag of their module."""
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
    """Claims and the cycles that they are tried on: the first two after power-up, or any two and the one behind them.

    Of any, the first two are assumed to keep the claims.
    """

    def __init__(self, gates: Gates, claims: Sequence[Claim], known: Mapping[int, int], *, from_start: bool) -> None:
        self._clauses = Clauses()
        self._cycles: list[dict[Bit, int]] = []
        state = {bit: TRUE if bit in gates.initial else -TRUE for bit in gates.flip_flops} if from_start else {}
        for _ in range(2 if from_start else 3):
            self._cycles.append(self._clauses.cycle(gates, {**state, **known}))
            state = {q: self._clauses.literal(self._cycles[-1], d) for q, d in gates.flip_flops.items()}
        solver = self._clauses.solver
        #: For each claim: the literal that assumes it, and for each cycle that is tried the one that breaks it there
        #: and what it breaks.
        self._alive: dict[Claim, tuple[int, list[tuple[int, list[int]]]]] = {}
        for claim in claims:
            assumes = self._clauses.new()
            starts = range(len(self._cycles) - (1 if claim.then else 0))
            assumed, tried = ((), starts) if from_start else (starts[:-1], starts[-1:])
            for start in assumed:
                solver.add_clause([-assumes, *self._clause(claim, start)])
            trials = [(self._clauses.new(), self._clause(claim, start)) for start in tried]
            for breaks, kept in trials:
                solver.append_formula([-breaks, -literal] for literal in kept)
            self._alive[claim] = assumes, trials

    def surviving(self) -> list[Claim]:
        """What is left when all that can break is dropped."""
        solver = self._clauses.solver
        while self._alive:
            some = self._clauses.new()
            solver.add_clause([-some, *(breaks for _, trials in self._alive.values() for breaks, _ in trials)])
            if not solver.solve(assumptions=[some, *(assumes for assumes, _ in self._alive.values())]):
                break
            model = solver.get_model()

            def holds(kept: list[int], model: list[int] = model) -> bool:
                return any((model[abs(literal) - 1] > 0) == (literal > 0) for literal in kept)

            # All that breaks here, not only what the solver set out to break.
            self._alive = {
                claim: (assumes, trials)
                for claim, (assumes, trials) in self._alive.items()
                if all(holds(kept) for _, kept in trials)
            }
        return list(self._alive)

    def _clause(self, claim: Claim, start: int) -> list[int]:
        """``claim`` about the cycle ``start``, and the one behind it if it is about two."""
        parts = [(self._cycles[start], claim.now)]
        if claim.then:
            parts.append((self._cycles[start + 1], claim.then))
        return [
            -self._clauses.literal(literals, bit) if value else self._clauses.literal(literals, bit)
            for literals, bits in parts
            for bit, value in bits
        ]
