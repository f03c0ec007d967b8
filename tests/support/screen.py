"""What a command leaves on a terminal: its output goes through a real pseudo-terminal and an emulator."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pyte

from tests.support.places import ROOT

#: Rows of the terminal. No command shows more.
_ROWS = 200


def screen(arguments: Sequence[str], *, columns: int, folder: Path) -> list[str]:
    """Run ``python -m`` with ``arguments`` in ``folder``, on a terminal of ``columns`` columns.

    Returns the lines that are on the terminal in the end, without blanks behind them. A line that is wider
    than the terminal is two lines, as on a real one.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = clean | {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *arguments]
    run = Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = pyte.Screen(columns, _ROWS)
    stream = pyte.ByteStream(shown)
    # At the end of what was written Linux reports an error instead of an end.
    with suppress(OSError):
        while data := os.read(ours, 65536):
            stream.feed(data)
    os.close(ours)
    run.wait()
    return [line.rstrip() for line in shown.display[: shown.cursor.y + 1]]
