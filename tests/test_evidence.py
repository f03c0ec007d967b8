"""The evidence page: what the parts found, and that nothing runs twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import evidence
from scripts.evidence import PARTS, figures, render

CASES = [
    {"proof": "queue", "bug": None, "passed": True},
    {"proof": "queue", "bug": "loses one", "passed": True},
    {"proof": "queue", "bug": "swaps two", "passed": False},
    {"proof": "walk", "bug": None, "passed": True},
    {"proof": "walk", "bug": None, "passed": False},
]
COUNTS = {"mutants": 300, "equivalent": 20, "killed": 276, "survived": 4}
FOUND: dict[str, Any] = {
    "coverage": {
        "line": 100.0,
        "branch": 100.0,
        "toggle": 99.5,
        "units": 3,
        "seed": 0,
        "points": {"line": 10, "branch": 20, "toggle": 3000},
        "hit": {"line": 10, "branch": 18, "toggle": 1990},
        "excluded": {"a word of a memory": {"line": 0, "branch": 2, "toggle": 1000}},
        "missed": {"line": [], "branch": [], "toggle": [f"plain window:{line} row[0]:0->1" for line in range(60)]},
    },
    "mutation": {
        **COUNTS,
        "killed_percent": 98.5714,
        "units": {"plain": COUNTS},
        "stages": {"window": COUNTS},
        "killed_by": {"full rate": 276},
        "argued": [
            {"unit": "plain", "stage": "window", "mutant": "inv at A[0] of window.add line 7", "reason": "as it is"}
        ],
        "survivors": [{"unit": "plain", "stage": "window", "mutant": "inv at A[1] of window.add line 7"}],
        "seed": 0,
        "simulator": "verilator",
    },
    "fuzz": {"fuzz_cases": 1000, "fuzz_builds": 998, "fuzz_mismatches": 1, "fuzz_hangs": 2, "seed": 2611},
    "proofs": {"proofs": 12, "planted_bugs": 14, "planted_bugs_found": 13, "cases": CASES},
}
REQUIRED = (
    "line branch toggle mutants equivalent killed fuzz_cases fuzz_mismatches fuzz_hangs "
    "proofs planted_bugs planted_bugs_found"
)


def test_figures_of_all_parts() -> None:
    assert list(figures(FOUND)) == REQUIRED.split()
    assert list(figures(FOUND).values()) == [100.0, 100.0, 99.5, 300, 20, 276, 1000, 1, 2, 12, 14, 13]
    assert set(figures({}).values()) == {None}


def test_page_says_everything() -> None:
    page = render(FOUND)
    for part in PARTS.values():
        assert f"`{part.command}`" in page
    for text in (
        "| excluded: a word of a memory | 0 | 2 | 1,000 |",
        "| **covered** | **100.000 %** | **100.000 %** | **99.500 %** |",
        "- toggle: `plain window:49 row[0]:0->1`",
        "- and 10 more",
        "**98.57 %**",
        "| window | 300 | 20 | 276 | 4 |",
        "`inv at A[0] of window.add line 7`: as it is",
        "Of the equivalent ones 19 are proven",
        "- plain, window: `inv at A[1] of window.add line 7`",
        "1,000 cases in 998 different units",
        "1 mismatches, 2 hangs",
        "12 properties proven; of 14 planted bugs, 13",
        "| `queue` | yes | 2 | 1 |",
        "| `walk` | **no** | 0 | 0 |",
    ):
        assert text in page, text
    assert "Not measured" not in page
    assert render({}).count("Not measured.") == len(PARTS)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    for name, found in FOUND.items():
        (folder / f"{name}.json").write_text(json.dumps(found))
    return folder


def test_what_is_there_does_not_run_again(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(name: str, path: Path) -> int:
        ran.append(name)
        path.write_text(json.dumps(FOUND[name]))
        return 1

    monkeypatch.setattr(evidence, "_run", run)
    paths = ["--kept", str(kept), "--out", str(tmp_path / "out")]
    assert evidence.main(paths) == 0 and ran == []
    (kept / "fuzz.json").unlink()
    assert evidence.main(paths) == 1 and ran == ["fuzz"]
    assert evidence.main([*paths, "--part", "coverage"]) == 1 and ran == ["fuzz", "coverage"]
    assert json.loads((tmp_path / "out" / "evidence.json").read_text()) == figures(FOUND)
    assert (tmp_path / "out" / "evidence.md").read_text() == render(FOUND)


def test_broken_file_is_refused(kept: Path, tmp_path: Path) -> None:
    (kept / "proofs.json").write_text("{")
    command = [sys.executable, "-m", "scripts.evidence", "--kept", str(kept), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "proofs.json is not JSON" in done.stderr
    assert not list((tmp_path / "out").glob("evidence*"))
