"""The units of `make test` are those that the recorded mutants choose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from golden.support.cli import UserError
from scripts import quick_units
from scripts.quick_units import KEEP, RECORD, choose, kept, read_kills
from sim.evidence.mutation import LONG_PAUSES
from sim.tests.test_regression import UNITS
from tests.support.places import ROOT

KILLS = {
    "small": {"full rate": 3, "pauses": 1},
    "large": {"full rate": 10, LONG_PAUSES: 4},
    "reloadable/a": {"load_and_run": 5, "bad_values": 1, "paused/port=all": 1, "paused/port=sink": 1},
}


def test_recorded_mutants_choose_the_units_of_the_regression() -> None:
    kills = read_kills(ROOT / RECORD)
    assert choose(kills, KEEP) == list(UNITS)
    assert kept(kills, list(UNITS)) >= KEEP
    assert all(kept(kills, [unit for unit in UNITS if unit != left_out]) < KEEP for left_out in UNITS)


def test_units_with_most_kills_come_first() -> None:
    assert choose(KILLS, 100) == ["large", "reloadable/a", "small"]
    assert choose(KILLS, 38) == ["large"] and choose(KILLS, 39) == ["large", "reloadable/a"]
    assert choose(KILLS, 0) == [] and choose({}, 100) == []


def test_kills_of_longer_tests_are_not_kept() -> None:
    assert kept(KILLS, ["large"]) == pytest.approx(100 * 10 / 26)
    assert kept(KILLS, ["reloadable/a"]) == pytest.approx(100 * 6 / 26)
    assert kept(KILLS, list(KILLS)) == pytest.approx(100 * 20 / 26)


def test_exit_status_says_whether_enough_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "mutation.json"
    record.write_text(json.dumps({"kills": KILLS}))
    assert quick_units.main(["--record", str(record), "--keep", "76"]) == 0
    assert "76.9 %" in capsys.readouterr().out
    assert quick_units.main(["--record", str(record), "--keep", "77"]) == 1


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"kills": 1}', '{"kills": {"a": 1}}'])
def test_records_that_are_refused(tmp_path: Path, content: str | None) -> None:
    record = tmp_path / "mutation.json"
    if content is not None:
        record.write_text(content)
    with pytest.raises(UserError, match=r"record .*mutation\.json is not what scripts\.mutation --json writes"):
        quick_units.main(["--record", str(record)])
