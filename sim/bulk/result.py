"""What came out of a simulation, held against the integer model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.contract.streams import from_beats


@dataclass(frozen=True, kw_only=True)
class SimulationResult:
    """What a unit did with some frames.

    Attributes:
        shape: channels, rows and columns of an output frame.
        beats: output beats that came, int64 ``[n, pe]``.
        expected: output beats of the integer model, int64 ``[N*Ho*Wo*O/pe, pe]``.
        first_output_latency: cycles from the first input transfer to the first output
            transfer; None without output.
        frame_cycles: for each frame, cycles since the last output beat of the frame before;
            None for the first frame.
        input_cycles: cycles from the first input transfer to each, int64 ``[n]``.
        predicted_input_cycles: what they are at full rate, for each frame int64 ``[n]``; None where that is not
            predicted.
        faults: violations of the stream protocol, and hanging; empty if all is well.
        cycles: length of the simulation.
        seconds: time that the simulator took, its start included.
    """

    shape: tuple[int, int, int]
    beats: np.ndarray
    expected: np.ndarray
    first_output_latency: int | None
    frame_cycles: list[int | None]
    input_cycles: np.ndarray
    predicted_input_cycles: list[np.ndarray] | None
    faults: list[str]
    cycles: int
    seconds: float

    @property
    def passed(self) -> bool:
        """True if every bit is right and the streams kept their rules."""
        return not self.complaints()

    def complaints(self) -> list[str]:
        """What is wrong, one sentence each; empty if nothing is."""
        found = list(self.faults)
        if self.mismatches:
            where = f", first {self.first_mismatch}" if self.first_mismatch else ""
            found.append(f"{self.mismatches} of {self.expected.size} output elements are wrong or missing{where}")
        return found

    def timing_complaints(self, predicted: Mapping[str, Any], frames: int | None = None) -> list[str]:
        """Where the cycle figures of a run at full rate differ from those in a manifest's ``timing``.

        Only the first ``frames`` frames count; None stands for all.
        """
        found = []
        latency, interval = predicted["predicted_latency"], predicted["predicted_frame_cycles"]
        if self.first_output_latency != latency:
            found.append(f"first output latency {self.first_output_latency}, predicted {latency}")
        measured = self.frame_cycles[1:frames]
        first = predicted.get("predicted_first_intervals", [])[: len(measured)]
        if measured != first + [interval] * (len(measured) - len(first)):
            expected = f"{first} and then {interval}" if first else str(interval)
            found.append(f"frame cycles {measured}, predicted {expected}")
        if self.predicted_input_cycles is not None:
            cycles = np.concatenate(self.predicted_input_cycles[:frames])
            wrong = np.flatnonzero(self.input_cycles[: len(cycles)] != cycles[: len(self.input_cycles)])
            if len(wrong):
                beat = int(wrong[0])
                taken = f"in cycle {self.input_cycles[beat]}, predicted {cycles[beat]}"
                found.append(f"{len(wrong)} input beats are not taken when predicted, first beat {beat} {taken}")
        return found

    @property
    def mismatches(self) -> int:
        """Output elements that are wrong or missing."""
        missing = self.expected[len(self.beats) :].size
        return len(self._wrong) + missing

    @property
    def first_mismatch(self) -> str | None:
        """Place and values of the first wrong element; None if all elements that came are right."""
        if not len(self._wrong):
            return None
        beat, lane = map(int, self._wrong[0])
        channels, height, width = self.shape
        shape = (len(self.expected), height, width, channels)
        frame, y, x, channel = np.unravel_index(beat * self.beats.shape[1] + lane, shape)
        values = f"{self.beats[beat, lane]} instead of {self.expected[beat, lane]}"
        return f"frame {frame}, channel {channel}, y {y}, x {x}: {values}"

    @property
    def frames(self) -> np.ndarray | None:
        """Output frames, int64 ``[N, O, Ho, Wo]``; None unless all have come."""
        if self.beats.shape != self.expected.shape:
            return None
        return from_beats(self.beats, *self.shape)

    @property
    def _wrong(self) -> np.ndarray:
        count = min(len(self.beats), len(self.expected))
        return np.argwhere(self.beats[:count] != self.expected[:count])
