"""What ``bulk.v`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Events that end a run early.
FAULTS = {
    "undefined": "tvalid or tready is undefined",
    "dropped": "m_axis_tvalid falls before m_axis_tready",
    "changed": "m_axis_tdata or m_axis_tlast changes before m_axis_tready",
    "surplus": "more output comes than the frames call for",
    "hang": "nothing moves any more",
}


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One run.

    Attributes:
        data: output beats before the first that has an undefined bit, uint8 ``[n, bytes]``, least
            significant byte first.
        undefined: whether an output beat has an undefined bit.
        inputs: cycle of each input transfer, int64 ``[n]``.
        first_output: cycle of the first output transfer; None if there was none.
        ends: ``(cycle, beat)`` of each output transfer with TLAST.
        reset: whether the unit was reset in the run; all else counts from there.
        cycles: length of the run.
        fault: what ended the run early; None if nothing did.
    """

    data: np.ndarray
    undefined: bool
    inputs: np.ndarray
    first_output: int | None
    ends: list[tuple[int, int]]
    reset: bool
    cycles: int
    fault: str | None

    @classmethod
    def read(cls, folder: Path, width: int) -> Recording:
        """Read the files that a run left in ``folder``; an output beat has ``width`` bytes."""
        digits = (folder / "outputs.hex").read_text()
        defined = len(digits) - len(digits.lstrip("0123456789abcdef"))
        count = defined // (2 * width)
        data = np.frombuffer(bytes.fromhex(digits[: count * 2 * width]), np.uint8)
        events: dict[str, list[list[int]]] = {}
        for line in (folder / "events.txt").read_text().splitlines():
            name, *numbers = line.split()
            events.setdefault(name, []).append(list(map(int, numbers)))
        [[cycles]] = events["end"]
        faults = [f"{text} (cycle {events[name][0][0]})" for name, text in FAULTS.items() if name in events]
        return cls(
            data=data.reshape(count, width)[:, ::-1],
            undefined=defined < len(digits),
            inputs=np.frombuffer(bytes.fromhex((folder / "inputs.hex").read_text()), ">i8").astype(np.int64),
            first_output=events["output"][0][0] if "output" in events else None,
            ends=[(cycle, beat) for cycle, beat in events.get("last", [])],
            reset="reset" in events,
            cycles=cycles,
            fault=faults[0] if faults else None,
        )
