"""The evidence page: what the parts found, and that only what is wanted runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import evidence
from scripts.evidence import PARTS, SHOWN, figures, render, shortened

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
        "missed": {"line": 0, "branch": 0, "toggle": 60},
        "modules": {"line": {}, "branch": {}, "toggle": {"window": 50, "top": 10}},
        "places": {"line": [], "branch": []},
    },
    "coverage_reloadable": {
        "line": 100.0,
        "branch": 50.0,
        "toggle": 100.0,
        "units": 1,
        "seed": 0,
        "points": {"line": 1, "branch": 4, "toggle": 10},
        "hit": {"line": 1, "branch": 2, "toggle": 10},
        "excluded": {},
        "missed": {"line": 0, "branch": 2, "toggle": 0},
        "modules": {"line": {}, "branch": {"top": 2}, "toggle": {}},
        "places": {"line": [], "branch": ["reloadable/conv_3x3 :1 else", "reloadable/conv_3x3 :2 else"]},
    },
    "coverage_networks": {
        "line": 100.0,
        "branch": 100.0,
        "toggle": 98.0,
        "units": 2,
        "seed": 0,
        "points": {"line": 4, "branch": 2, "toggle": 100},
        "hit": {"line": 4, "branch": 2, "toggle": 98},
        "excluded": {},
        "missed": {"line": 0, "branch": 0, "toggle": 2},
        "modules": {"line": {}, "branch": {}, "toggle": {"fork": 2}},
        "places": {"line": [], "branch": []},
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
    "mutation_networks": {
        **COUNTS,
        "killed_percent": 98.5714,
        "units": {"network/joins": COUNTS},
        "stages": {"fork": COUNTS},
        "killed_by": {"stalled": 276},
        "argued": [],
        "survivors": [],
        "seed": 0,
        "simulator": "verilator",
    },
    "fuzz": {
        "commit": "0123abc",
        "fuzz_cases": 1000,
        "fuzz_builds": 998,
        "fuzz_mismatches": 1,
        "fuzz_hangs": 2,
        "seed": 2611,
    },
    "fuzz_networks": {
        "fuzz_cases": 500,
        "fuzz_builds": 499,
        "fuzz_mismatches": 3,
        "fuzz_hangs": 0,
        "limits": {"steps": 5, "frame_cycles": 1100, "products": 40},
        "seed": 2611,
    },
    "proofs": {"proofs": 12, "planted_bugs": 14, "planted_bugs_found": 13, "cases": CASES},
}
REQUIRED = (
    "line branch toggle mutants equivalent killed fuzz_cases fuzz_mismatches fuzz_hangs "
    "proofs planted_bugs planted_bugs_found"
)


def test_figures_of_all_parts() -> None:
    assert list(figures(FOUND)) == REQUIRED.split()
    coverage = [100.0, 100 * 22 / 24, 100 * 2098 / 2160]
    assert list(figures(FOUND).values()) == [*coverage, 600, 40, 552, 1500, 4, 2, 12, 14, 13]
    others = "coverage_reloadable", "coverage_networks", "mutation"
    alone = {name: found for name, found in FOUND.items() if name not in others}
    assert list(figures(alone).values())[:4] == [100.0, 100.0, 100 * 1990 / 2050, 300]
    assert set(figures({}).values()) == {None}


def test_page_says_everything() -> None:
    page = render(FOUND, {"fuzz": "None changed."})
    for part in PARTS.values():
        assert f"`{part.command}`" in page
    for text in (
        "| excluded: a word of a memory | 0 | 2 | 1,000 |",
        "| **covered** | **100.000 %** | **100.000 %** | **99.500 %** |",
        "| `window` | 0 | 0 | 50 |\n| `top` | 0 | 0 | 10 |",
        "| `top` | 0 | 2 | 0 |",
        "- branch: `reloadable/conv_3x3 :2 else`",
        "**98.57 %**",
        "| window | 300 | 20 | 276 | 4 |",
        "`inv at A[0] of window.add line 7`: as it is",
        "Of the equivalent ones 19 are proven",
        "- plain, window: `inv at A[1] of window.add line 7`",
        "--seed 2611`, at commit 0123abc\n\nNone changed.\n\n1,000 cases",
        "Of the Verilog of 2 networks",
        "| `fork` | 0 | 0 | 2 |",
        "over the netlists of 1 networks",
        "| network | mutants |",
        "All 20 equivalent ones are proven",
        "None survives.",
        "500 cases, each a random network (499 different ones",
        "5 steps before open ends are\njoined, 1,100 cycles of a frame, 40 multipliers",
        "3 mismatches, 0 hangs",
        "1,000 cases in 998 different units",
        "1 mismatches, 2 hangs",
        "12 properties proven; of 14 planted bugs, 13",
        "| `queue` | yes | 2 | 1 |",
        "| `walk` | **no** | 0 | 0 |",
    ):
        assert text in page, text
    assert "Not measured" not in page
    assert render({}, {}).count("Not measured.") == len(PARTS)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a file of everything that counts as hardware, or does not."""
    for place in ("hw/unit/a.py", "hw/network/b.py", "hw/estimate/c.py", "golden/contract/d.py", "sim/e.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *command], cwd=folder, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "--short", "HEAD").strip()


@pytest.mark.parametrize(
    ("place", "units", "networks"),
    [
        ("hw/unit/a.py", "1", "1"),
        ("golden/contract/d.py", "1", "1"),
        ("hw/network/b.py", "none", "1"),
        ("hw/estimate/c.py", "none", "none"),
        ("sim/e.py", "none", "none"),
    ],
)
def test_hardware_that_has_changed_since(place: str, units: str, networks: str, repository: Path) -> None:
    then = git(repository, "rev-parse", "--short", "HEAD").strip()
    (repository / place).write_text("changed")
    now = commit(repository)
    told = evidence.ages({"coverage": {"commit": then}, "coverage_networks": {"commit": then}})
    assert told == {
        name: f"From there to {now}, where this page was written, {count} of the hardware's files changed."
        for name, count in (("coverage", units), ("coverage_networks", networks))
    }


def test_hardware_of_which_nothing_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that was measured amid changes, at a commit that is not there, or at none; and no Git at all."""
    unknown = {"coverage": {"commit": "0123abc-dirty"}, "mutation": {"commit": "0123abc"}, "fuzz": {"commit": None}}
    assert evidence.ages(unknown) == {}
    monkeypatch.setenv("PATH", "")
    assert evidence.ages({"proofs": {"commit": "0123abc"}}) == {}


def test_of_many_missed_points_some_are_kept() -> None:
    places = {"line": ["a"], "branch": ["b"] * 100, "toggle": ["c"] * 1000}
    kept = shortened({"missed": {"line": 1, "branch": 100, "toggle": 1000}, "places": places})
    assert kept["places"] == {"line": ["a"], "branch": ["b"] * SHOWN}
    assert kept["missed"]["toggle"] == 1000
    assert shortened(FOUND["fuzz"]) == FOUND["fuzz"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with the figures of all parts."""
    (tmp_path / "evidence").mkdir()
    for name, found in FOUND.items():
        (tmp_path / "evidence" / f"{name}.json").write_text(json.dumps(found))
    return tmp_path


def test_only_what_is_wanted_runs(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[0] == "git":
            return subprocess.CompletedProcess(command, 0, "0123abc\n" if command[1] == "rev-parse" else "")
        name = next(name for name, part in PARTS.items() if list(part.arguments) == command[2:-2])
        ran.append(name)
        Path(command[-1]).write_text(json.dumps(FOUND[name]))
        return subprocess.CompletedProcess(command, 1 if name == "fuzz" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert evidence.main(["--out", str(out), "--page"]) == 0 and ran == []
    assert json.loads((out / "evidence.json").read_text()) == figures(FOUND)
    assert (out / "evidence.md").read_text() == render(FOUND, evidence.ages(FOUND))
    (out / "evidence" / "fuzz.json").unlink()
    (out / "evidence" / "proofs.json").unlink()
    assert evidence.main(["--out", str(out), "--part", "fuzz"]) == 1 and ran == ["fuzz"]
    assert json.loads((out / "evidence.json").read_text())["proofs"] is None
    assert evidence.main(["--out", str(out)]) == 1 and ran[1:] == list(PARTS)
    assert (out / "evidence.md").read_text().count("at commit 0123abc") == len(PARTS)


def test_broken_file_is_refused(out: Path) -> None:
    (out / "evidence" / "proofs.json").write_text("{")
    command = [sys.executable, "-m", "scripts.evidence", "--page", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "proofs.json is not JSON" in done.stderr
    assert not list(out.glob("evidence.*"))
