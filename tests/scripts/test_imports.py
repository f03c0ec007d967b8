"""``python -m scripts.imports``: what is written of networks of other tools, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.support.cli import UserError
from scripts import imports
from scripts.imports_sources import SOURCES
from tests.support.commands import COMMANDS
from tests.support.places import ROOT


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured."""
    monkeypatch.chdir(tmp_path)
    for place, stand_in in COMMANDS["scripts.imports"].stand_ins.items():
        monkeypatch.setattr(place, stand_in)


def test_a_page_has_a_row_of_each(measured: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("page.md").write_text(f"before\n{imports.BEGIN}old\n{imports.END}behind\n")
    assert imports.main(["--images", "4", "--page", "page.md", "--store", "new.sqlite"]) == 0
    text = Path("page.md").read_text()
    assert text.startswith("before\n") and text.endswith("behind\n") and "old" not in text
    for source in SOURCES.values():
        scales = "powers of two" if source.scales == "po2" else "float"
        assert f"| {source.network} | {source.tool} | {source.bits} | {scales} | 4 | 100.00 % | 100.00 % |" in text


def test_without_verilog(measured: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert imports.main(["--images", "4", "--simulated", "0", "--only", "separable_po2", "--store", "new.sqlite"]) == 0
    assert "0 batches" in capsys.readouterr().out
    assert '"verilog": null' in Path("build/imports/imports.json").read_text()


def test_a_wrong_verilog_is_told(measured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"equal": 3, "images": 4, "complaints": [], "frame_cycles": 9, "right": {"verilog": 4}}
    monkeypatch.setattr(imports, "total", lambda figures: row)
    assert imports.main(["--only", "separable_po2", "--images", "4", "--store", "new.sqlite"]) == 1
    assert '"equal": 3' in Path("build/imports/imports.json").read_text()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--only", "separable_po2", "--page", "page.md"],
            "--page page.md needs all rows, --only leaves separable_po2",
        ),
        (["--page", "page.md"], "page page.md has no place for the figures, between <!-- imports:"),
        (["--images", "5"], "--images 5 is too many, there are 4 images"),
    ],
)
def test_refusals(measured: None, argv: list[str], message: str) -> None:
    Path("page.md").write_text("no place\n")
    with pytest.raises(UserError, match=message):
        imports.main(argv)
    assert sorted(map(str, Path().iterdir())) == ["page.md"]


def test_the_page_has_all_rows() -> None:
    table = (ROOT / "docs" / "import.md").read_text().partition(imports.BEGIN)[2].partition(imports.END)[0]
    rows = [line for line in table.splitlines() if line.startswith(("| residual", "| separable"))]
    assert len(rows) == len(SOURCES) and "wrong" not in table
