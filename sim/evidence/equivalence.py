"""Which mutants do what the unit does, proven by induction over its gates.

Unit and mutant get the same inputs, and start from any state that `sim.evidence.unreachable` does
not rule out. Flip-flops that hold the same in both now and a cycle later stay alike for ever. At first
all flip-flops are assumed to be alike. A flip-flop that comes apart is assumed no more: in the mutant
it may then hold anything that is not ruled out. The mutant is equivalent if in the end no output can
differ. Multipliers and primitives have no gates here: equal operands give equal results.

Where something is known of each cycle of the unit, the state is one that some such cycles lead to, in unit and
mutant. The first cycles from power-up on are looked at by themselves then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sim.evidence.gates import TRUE, Bit, Clauses, Gates
from sim.evidence.unreachable import Claim, never, proven

#: Cycles of the unit before the one that is looked at, where something is known of each. So what is known of a
#: pipeline's operands is known of what comes of them in so many cycles.
HISTORY = 3
#: Rounds in which more flip-flops may come apart before the proof is given up.
ROUNDS = 40


def equivalent(gates: Gates, select: str, numbers: Iterable[int], known: Iterable[Claim] = ()) -> Iterator[bool]:
    """Whether each mutant can be proven to be the unit.

    Args:
        gates: a unit with an input ``select``.
        select: name of the input that chooses a mutant by its number; 0 chooses the unit itself.
        numbers: numbers of the mutants.
        known: claims about one cycle of the unit that need no proof.
    """
    known = list(known)
    choice = gates.inputs[select]
    unselected = dict.fromkeys(choice, -TRUE)
    plain = _Unit(gates, unselected, (), known)
    informed: _Unit | None = None
    for number in numbers:
        values = {bit: number >> index & 1 for index, bit in enumerate(choice)}
        # First without facts: finding those takes longer than most proofs.
        if plain.is_alike(values):
            yield True
            continue
        if informed is None:
            # Most harmless faults are harmless because a flip-flop keeps the value it powers up with.
            constant = [never(bit, 0 if bit in gates.initial else 1) for bit in gates.flip_flops]
            informed = _Unit(gates, unselected, proven(gates, constant, dict.fromkeys(choice, 0)), known)
        stuck = _stuck(gates, _literals(values))
        yield informed.is_alike(values) or informed.is_alike(values, proven(gates, [*informed.facts, *stuck], values))


def _literals(values: Mapping[int, int]) -> dict[int, int]:
    return {bit: TRUE if value else -TRUE for bit, value in values.items()}


class _Unit:
    """Successive cycles of the unit, the last of which is looked at.

    Attributes:
        facts: what is proven of each cycle.
    """

    def __init__(
        self, gates: Gates, unselected: Mapping[int, int], facts: Iterable[Claim], known: Sequence[Claim]
    ) -> None:
        self.facts = list(facts)
        self._gates, self._unselected, self._known = gates, unselected, known
        self._clauses, self._cycles = Clauses(), list[dict[Bit, int]]()
        state: dict[int, int] = {}
        for _ in range((HISTORY if known else 0) + 1):
            cycle = self._clauses.cycle(gates, {**state, **unselected})
            _assume(self._clauses, cycle, (*self.facts, *known))
            self._cycles.append(cycle)
            state = _next_state(self._clauses, gates, cycle)

    def is_alike(self, values: Mapping[int, int], facts: Iterable[Claim] = ()) -> bool:
        """Whether the mutant that ``values`` of the select bits choose can be proven to be the unit.

        ``facts`` are known about the mutant.
        """
        refinement = _Refinement(self._gates, self._clauses, self._cycles, _literals(values))
        return refinement.is_alike(facts) and refinement.begins_alike(
            self._unselected, self._known, len(self._cycles) - 1
        )


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


def _next_state(clauses: Clauses, gates: Gates, cycle: dict[Bit, int]) -> dict[int, int]:
    return {q: clauses.literal(cycle, d) for q, d in gates.flip_flops.items()}


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

    def __init__(
        self, gates: Gates, clauses: Clauses, unit: Sequence[dict[Bit, int]], selected: Mapping[int, int]
    ) -> None:
        self._gates, self._clauses, self._unit, self._selected = gates, clauses, unit, selected
        self._apart: set[int] = set()

    def is_alike(self, facts: Iterable[Claim]) -> bool:
        """Whether the mutant's outputs are always those of the unit. ``facts`` are known about the mutant."""
        known = list(facts)
        for _ in range(ROUNDS):
            self._widen()
            consequences, outputs = self._differences(known)
            happens = _ask(self._clauses, consequences, outputs)
            if not happens:
                return True
            if happens & outputs:
                return False
            self._apart |= set().union(*(consequences[literal] for literal in happens))
        return False

    def begins_alike(self, unselected: Mapping[int, int], known: Iterable[Claim], cycles: int) -> bool:
        """Whether so many cycles from power-up on keep alike what `is_alike` has found to stay alike behind them."""
        gates, clauses = self._gates, Clauses()
        first = {bit: TRUE if bit in gates.initial else -TRUE for bit in gates.flip_flops}
        states = first, first
        for _ in range(cycles):
            unit = clauses.cycle(gates, {**states[0], **unselected})
            _assume(clauses, unit, known)
            shared = {bit: unit[bit] for bit in gates.free if bit not in self._apart}
            mutant = clauses.cycle(gates, {**shared, **states[1], **self._selected})
            consequences, outputs = self._compared(clauses, unit, mutant)
            if _ask(clauses, consequences, outputs):
                return False
            states = _next_state(clauses, gates, unit), _next_state(clauses, gates, mutant)
        return True

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
        gates = self._gates
        mutant: dict[Bit, int] = {}
        state: dict[int, int] = {}
        # What has come apart may hold anything in the first of the cycles, and then what follows from there.
        for unit in self._unit:
            alike = {bit: unit[bit] for bit in (*gates.free, *gates.flip_flops) if bit not in self._apart}
            mutant = self._clauses.cycle(gates, {**state, **alike, **self._selected})
            _assume(self._clauses, mutant, facts)
            state = _next_state(self._clauses, gates, mutant)
        return self._compared(self._clauses, self._unit[-1], mutant)

    def _compared(
        self, clauses: Clauses, unit: dict[Bit, int], mutant: dict[Bit, int]
    ) -> tuple[dict[int, set[int]], set[int]]:
        """`_differences` in these cycles of unit and mutant."""
        gates, apart = self._gates, self._apart

        def differ(bit: Bit) -> int:
            return clauses.differ(clauses.literal(unit, bit), clauses.literal(mutant, bit))

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


def _ask(clauses: Clauses, consequences: Mapping[int, set[int]], outputs: set[int]) -> set[int]:
    """Literals that are true together in some case; empty if none can be."""
    if not consequences and not outputs:
        return set()
    some = clauses.new()
    clauses.solver.add_clause([-some, *consequences, *outputs])
    if not clauses.solver.solve(assumptions=[some]):
        return set()
    model = clauses.solver.get_model()
    return {literal for literal in (*consequences, *outputs) if (model[abs(literal) - 1] > 0) == (literal > 0)}
