"""Random runs of a unit's gates. Many run at once: each has a bit of a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from sim.evidence.gates import Bit, Gates

#: Number of runs in a word, and number of all runs.
WORD, LANES = 64, 256
#: Number of cycles of a run.
CYCLES = 100
ALL = np.uint64(2**WORD - 1)


class RandomRuns:
    """The values of all bits, cycle by cycle from power-up. Inputs and outputs of opaque cells are random.

    Args:
        gates: the unit.
        fixed: the inputs and flip-flops that keep a value, with that value.
    """

    def __init__(self, gates: Gates, fixed: Mapping[int, int]) -> None:
        self._gates = gates
        driven: list[Bit] = ["0", "1", *gates.free, *gates.flip_flops, *gates.order]
        self._place = {bit: place for place, bit in enumerate(dict.fromkeys(driven))}
        self._free = self._places(sorted(gates.free))
        #: Handshakes and reset are mostly 1, so that runs get somewhere.
        self._often = self._places(bits[0] for bits in gates.inputs.values() if len(bits) == 1)
        self._fixed = {self._place[bit]: ALL if value else np.uint64(0) for bit, value in fixed.items()}
        self._levels = list(self._make_levels())
        self._registers = self._places(gates.flip_flops), self._places(gates.flip_flops.values())

    def place(self, bit: Bit) -> int:
        """Index of the values of ``bit``. A bit that nothing drives has those of constant 0, as in Verilator."""
        return self._place.get(bit, 0)

    def cycles(self) -> Iterator[np.ndarray]:
        """The values in each cycle: a new array uint64 ``[places, LANES / WORD]`` each time."""
        rng = np.random.default_rng(0)
        state = np.zeros((len(self._place), LANES // WORD), np.uint64)
        state[1] = ALL
        state[self._places(self._gates.initial)] = ALL
        registers, inputs = self._registers
        for _ in range(CYCLES):
            values = state.copy()
            values[self._free] = self._words(rng, self._free)
            for _ in range(3):
                values[self._often] |= self._words(rng, self._often)
            for place, value in self._fixed.items():
                values[place] = value
            for ands, nots in self._levels:
                out, a, b = ands
                values[out] = values[a] & values[b]
                out, a = nots
                values[out] = ~values[a]
            yield values
            state = values.copy()
            state[registers] = values[inputs]

    def _places(self, bits: Iterable[Bit]) -> np.ndarray:
        return np.array([self.place(bit) for bit in bits], np.intp)

    def _words(self, rng: np.random.Generator, places: np.ndarray) -> np.ndarray:
        return rng.integers(0, ALL, (len(places), LANES // WORD), np.uint64, endpoint=True)

    def _make_levels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The gates in levels; a gate reads only what earlier levels drive.

        Each level has the places of its ANDs' outputs and inputs ``[3, n]``, and of its inverters' ``[2, n]``.
        """
        level: dict[Bit, int] = {}
        levels: list[tuple[list[list[int]], list[list[int]]]] = []
        for bit in self._gates.order:
            is_not = bit in self._gates.nots
            reads = (self._gates.nots[bit],) if is_not else self._gates.ands[bit]
            level[bit] = max(level.get(read, -1) for read in reads) + 1
            if level[bit] == len(levels):
                levels.append(([], []))
            levels[level[bit]][is_not].append([self.place(bit), *map(self.place, reads)])
        for ands, nots in levels:
            yield np.array(ands, np.intp).reshape(-1, 3).T, np.array(nots, np.intp).reshape(-1, 2).T
