"""Which mutants do what the unit does, proven by induction over its gates.

Unit and mutant get the same inputs, and start from any state that `sim.evidence.unreachable` does
not rule out. Flip-flops that hold the same in both now and a cycle later stay alike for ever. At first
all flip-flops are assumed to be alike. A flip-flop that comes apart is assumed no more: in the mutant
it may then hold anything that is not ruled out. The mutant is equivalent if in the end no output can
differ. Multipliers and primitives have no gates here: equal operands give equal results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sim.evidence.gates import TRUE, Bit, Clauses, Gates
from sim.evidence.unreachable import Claim, never, proven

#: Rounds in which more flip-flops may come apart before the proof is given up.
ROUNDS = 40


def equivalent(gates: Gates, select: str, numbers: Iterable[int]) -> Iterator[bool]:
    """Whether each mutant can be proven to be the unit.

    Args:
        gates: a unit with an input ``select``.
        select: name of the input that chooses a mutant by its number; 0 chooses the unit itself.
        numbers: numbers of the mutants.
    """
    choice = gates.inputs[select]
    # Most harmless faults are harmless because a flip-flop keeps the value it powers up with.
    constant = [never(bit, 0 if bit in gates.initial else 1) for bit in gates.flip_flops]
    clauses = Clauses()
    unit = clauses.cycle(gates, dict.fromkeys(choice, -TRUE))
    facts = proven(gates, constant, dict.fromkeys(choice, 0))
    _assume(clauses, unit, facts)
    for number in numbers:
        values = {bit: number >> index & 1 for index, bit in enumerate(choice)}
        selected = {bit: TRUE if value else -TRUE for bit, value in values.items()}
        # First without facts about the mutant: finding those takes longer than most proofs.
        yield _Refinement(gates, clauses, unit, selected).is_alike(()) or _Refinement(
            gates, clauses, unit, selected
        ).is_alike(proven(gates, [*facts, *_stuck(gates, selected)], values))


def _stuck(gates: Gates, selected: Mapping[int, int]) -> Iterator[Claim]:
    """Claims that flip-flops of a mutant keep the value they power up with. Folding constants finds them."""
    stuck = {bit: TRUE if bit in gates.initial else -TRUE for bit in gates.flip_flops}
    while True:
        clauses = Clauses()
        cycle = clauses.cycle(gates, {**stuck, **selected})
        left = {q for q, value in stuck.items() if clauses.literal(cycle, gates.flip_flops[q]) != value}
        if not left:
            return (never(bit, int(value == -TRUE)) for bit, value in stuck.items())
        stuck = {bit: value for bit, value in stuck.items() if bit not in left}


def _assume(clauses: Clauses, cycle: dict[Bit, int], claims: Iterable[Claim]) -> None:
    """Have those of ``claims`` that are about one cycle hold in ``cycle``."""
    for claim in claims:
        if not claim.then:
            literals = ((clauses.literal(cycle, bit), value) for bit, value in claim.now)
            clauses.solver.add_clause([-literal if value else literal for literal, value in literals])


class _Refinement:
    """A guess which flip-flops of unit and mutant are alike, refined until it holds.

    At first all flip-flops are guessed to be alike. The solver shows flip-flops that come apart; these
    are then guessed no more.
    """

    def __init__(self, gates: Gates, clauses: Clauses, unit: dict[Bit, int], selected: Mapping[int, int]) -> None:
        self._gates, self._clauses, self._unit, self._selected = gates, clauses, unit, selected
        self._apart: set[int] = set()

    def is_alike(self, facts: Iterable[Claim]) -> bool:
        """Whether the mutant's outputs are always those of the unit. ``facts`` are known about the mutant."""
        known = list(facts)
        for _ in range(ROUNDS):
            self._widen()
            consequences, outputs = self._differences(known)
            happens = self._ask(consequences, outputs)
            if not happens:
                return True
            if happens & outputs:
                return False
            self._apart |= set().union(*(consequences[literal] for literal in happens))
        return False

    def _widen(self) -> None:
        """Drop flip-flops that only pass on one that came apart: that needs no solver."""
        apart = self._apart
        while more := {q for q, d in self._gates.flip_flops.items() if d in apart and q not in apart}:
            apart |= more

    def _differences(self, facts: Iterable[Claim]) -> tuple[dict[int, set[int]], set[int]]:
        """Literals that are true where unit and mutant differ in a cycle.

        Returns:
            The flip-flops and driven bits that come apart where a literal is true, by literal; and the
            literals of outputs, none of which may ever be true.
        """
        gates, unit, apart = self._gates, self._unit, self._apart
        known = {bit: unit[bit] for bit in (*gates.free, *gates.flip_flops) if bit not in apart}
        mutant = self._clauses.cycle(gates, {**known, **self._selected})
        _assume(self._clauses, mutant, facts)

        def differ(bit: Bit) -> int:
            return self._clauses.differ(self._clauses.literal(unit, bit), self._clauses.literal(mutant, bit))

        consequences: dict[int, set[int]] = {}
        for q, d in gates.flip_flops.items():
            if q not in apart and (literal := differ(d)) != -TRUE:
                consequences.setdefault(literal, set()).add(q)
        for reads, drives in gates.opaque:
            if not apart.issuperset(drives):
                for bit in reads:
                    if (literal := differ(bit)) != -TRUE:
                        consequences.setdefault(literal, set()).update(drives)
        outputs = {literal for bits in gates.outputs.values() for bit in bits if (literal := differ(bit)) != -TRUE}
        return consequences, outputs

    def _ask(self, consequences: Mapping[int, set[int]], outputs: set[int]) -> set[int]:
        """Literals that are true together in some case; empty if none can be."""
        if not consequences and not outputs:
            return set()
        solver = self._clauses.solver
        some = self._clauses.new()
        solver.add_clause([-some, *consequences, *outputs])
        if not solver.solve(assumptions=[some]):
            return set()
        model = solver.get_model()
        return {literal for literal in (*consequences, *outputs) if (model[abs(literal) - 1] > 0) == (literal > 0)}
