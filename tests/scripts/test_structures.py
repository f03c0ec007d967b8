"""``python -m scripts.structures``: networks of the field, and what is written of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golden.networks.published import FIELD, MLPERF_TINY
from scripts import structures
from tests.support.places import ROOT


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is built. Holds what would have been. ResNet-50 is refused."""
    asked: list[str] = []

    def measure(name: str, options: Any) -> dict[str, Any]:
        asked.append(name)
        costs = {"macs": 9_000_000, "dsp": 100, "lut": 2000, "ff": 3000, "bram36": 4.5, "uram": 0}
        if name == "resnet50":
            return {"network": name, "refused": "Conv2d '0': no"}
        return {"network": name, "steps": 7, "changed": 0.25, **costs, "frame_cycles": 30_000, "passed": True}

    monkeypatch.setattr(structures, "measure_tiny", measure)
    monkeypatch.setattr(structures, "measure_field", measure)
    return asked


def test_a_page_is_written(measured: list[str], tmp_path: Path) -> None:
    """The published entry stands behind each network of MLPerf Tiny, of the field there are figures or a reason."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{structures.BEGIN}old\n{structures.END}behind\n")
    assert structures.main(["--page", str(page), "--out", str(tmp_path)]) == 0
    text = page.read_text()
    assert measured == [*MLPERF_TINY, *FIELD] and "old" not in text
    entry = "| fpgaConvNet, MLPerf Tiny 1.1, closed | ZC706 | 27,542 | 525 | 108,000 | 99,000 |  | 0.62 | 187 | 6,790 |"
    own = "| image classification | this project | xcup | 30,000 | 100 | 2,000 | 3,000 | 4.5 | 3.00 |  |  |"
    assert f"{own}\n| image classification {entry}\n" in text
    assert "| resnet18 | 7 | 9,000,000 | 25 % | 30,000 | 100 | 2,000 | 4.5 |\n" in text
    assert "| resnet50 | refused: Conv2d '0': no |  |  |  |  |  |  |\n" in text


def test_other_rows_stay(measured: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    kept = ["| visual wake words | this project | old |", "| resnet34 | old |", "| gone | old |"]
    lines = "\n".join(["| resnet18 | old |", *kept])
    page.write_text(f"{structures.BEGIN}{lines}\n{structures.END}")
    assert structures.main(["--only", "resnet18", "--page", str(page), "--out", str(tmp_path)]) == 0
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ") and "---" not in line]
    new = "| resnet18 | 7 | 9,000,000 | 25 % | 30,000 | 100 | 2,000 | 4.5 |"
    assert [row for row in rows if not row.startswith("| network")] == [kept[0], new, kept[1]]


def test_the_page_has_all_networks() -> None:
    text = (ROOT / "docs" / "import.md").read_text()
    table = text.partition(structures.BEGIN)[2].partition(structures.END)[0]
    for name in (*MLPERF_TINY, *FIELD):
        assert f"| {name} |" in table
