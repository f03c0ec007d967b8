"""Files of a synthesis: the report, and all that the tools made of the unit, to go on from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from golden.support import cli
from hw.synth.placement import CONFIGURATION, PLACED_NETLIST, REPORT
from hw.synth.synthesis import Synthesis

#: The report's figures and page, and the unit as Yosys left it.
FIGURES, PAGE, NETLIST = "report.json", "report.html", "netlist.json"
#: Everything that a synthesis may leave in a folder, beside `FIGURES`.
_COMPANIONS = (PAGE, NETLIST, PLACED_NETLIST, REPORT, CONFIGURATION)
#: All names of files that are written.
FILES = (FIGURES, *_COMPANIONS)


def write_report(figures: dict[str, Any], synthesis: Synthesis, folder: Path) -> list[str]:
    """Write the report and the tools' files into ``folder``, all or none. Returns their names.

    What an earlier synthesis has written there, and this one has not, is removed.
    Raises `UserError` where a file cannot be written.
    """
    # Drawing needs packages that not everyone has, and half a second.
    from hw.synth.page import page

    placed = {} if synthesis.timing is None else synthesis.timing.files
    names = [FIGURES, PAGE, NETLIST, *placed]
    earlier = _written_before(folder)
    cli.write_files(
        folder,
        {
            FIGURES: json.dumps({**figures, "files": names}, indent=2) + "\n",
            PAGE: page(figures),
            NETLIST: synthesis.netlist.as_json(figures["name"]),
            **placed,
        },
    )
    for name in set(earlier) - set(names):
        (folder / name).unlink(missing_ok=True)
    return names


def _written_before(folder: Path) -> Iterable[str]:
    """The files in ``folder`` that its report says are a synthesis'. Files of others are not touched."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return [name for name in json.loads((folder / FIGURES).read_text())["files"] if name in _COMPANIONS]
    return []
