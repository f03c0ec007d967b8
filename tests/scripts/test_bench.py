"""``python -m scripts.bench``: which rows it measures, and what it writes of networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import bench, bench_networks
from tests.support.places import ROOT
from tests.support.refusals import Refuse, refusal

FIGURES = {
    "network": "of ours",
    "on": "xcup",
    "ideal_frame_cycles": 32_768,
    "frame_cycles": 32_768,
    "passed": True,
    "lut": 24_000,
    "ff": 40_000,
    "dsp": 630,
    "bram36": 75.5,
    "dsp_efficiency": 1.968,
    "fmax_mhz": None,
    "fps": None,
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is measured. Holds what would have been."""
    asked: list[str] = []

    def unit(row: bench.Row, options: Any) -> dict[str, Any]:
        asked.append(row.target)
        return {"unit": row.what, "simd": 1, "pe": 1, "multiplications": 1, **FIGURES}

    def network(row: bench_networks.Row, options: Any) -> dict[str, Any]:
        asked.append(row.network)
        return {**FIGURES, "network": row.what}

    monkeypatch.setattr(bench, "_measure", unit)
    monkeypatch.setattr(bench_networks, "measure", network)
    return asked


def run(tmp_path: Path, *options: str) -> dict[str, Any]:
    assert bench.main([*options, "--out", str(tmp_path)]) == 0
    return json.loads((tmp_path / "bench.json").read_text())


def test_what_is_measured(measured: list[str], tmp_path: Path) -> None:
    names = [row.network for row in bench_networks.ROWS]
    found = run(tmp_path)
    assert measured == [*(row.target for row in bench.ROWS), *names]
    assert [len(found[kind]) for kind in ("units", "networks")] == [len(bench.ROWS), len(names)]
    for options, expected in (
        (["--kind", "networks"], names),
        (["--network", "resnet20"], ["resnet20"]),
        (["--kind", "networks", "--only", "ecp5"], [*2 * ["resnet8_xvolution"], "fashion_mnist_qat4"]),
        (["--kind", "units", "--only", "generic", "--cycles"], ["generic"]),
        (["--kind", "units", "--only", "ecp5", "--cycles"], 10 * ["ecp5"]),  # all but the reloadable ones
    ):
        measured.clear()
        run(tmp_path, *options)
        assert measured == expected


def test_a_page_is_written(measured: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in its place is replaced, the rest stays."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{bench.BEGIN}old\n{bench.END}behind\n")
    run(tmp_path, "--kind", "networks", "--page", str(page))
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("behind\n") and "old" not in text
    assert "| ResNet-20 | xcup | 32,768 | 100.0 % | 24,000 | 40,000 | 630 | 75.5 | 1.97 |  |  |\n" in text
    assert text.count("| ResNet-20 |") == 1
    # Again, nothing changes; and of one network, the rows of the others stay.
    for options in (["--kind", "networks"], ["--network", "resnet20"]):
        run(tmp_path, *options, "--page", str(page))
        assert page.read_text() == text
    assert "NN2FPGA" in capsys.readouterr().out


def test_a_page_of_one_network(measured: list[str], tmp_path: Path) -> None:
    """What has not been measured is empty."""
    page = tmp_path / "page.md"
    page.write_text(f"{bench.BEGIN}{bench.END}")
    run(tmp_path, "--network", "resnet8", "--page", str(page))
    assert "| ResNet-8 | xcup | 32,768 |" in page.read_text()
    assert "| ResNet-20 | xcup |  |  |  |  |  |  |  |  |  |\n" in page.read_text()


def test_a_wrong_network_fails(measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_networks, "measure", lambda row, options: {**FIGURES, "passed": False})
    assert bench.main(["--network", "resnet8", "--out", str(tmp_path)]) == 1
    assert "| wrong |" in bench_networks.markdown([{**FIGURES, "passed": False}], "")


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text("no place\n")
    return refusal(bench.main, lambda: sorted(map(str, tmp_path.rglob("*"))), monkeypatch, capfd)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--network", "resnet8", "--kind", "units"], "--network resnet8 is not of --kind units"),
        (["--cycles", "--page", "page.md"], "--page page.md needs all figures of a network"),
        (["--kind", "units", "--page", "page.md"], "--page page.md needs all figures of a network"),
        (["--page", "page.md"], "page page.md has no place for the figures, between <!-- networks: "),
        (["--page", "none.md"], "page none.md: "),
    ],
)
def test_refused(refuse: Refuse, measured: list[str], options: list[str], said: str) -> None:
    assert refuse(*options).startswith(f"error: {said}")
    assert not measured


def test_the_page_of_figures_has_the_place() -> None:
    """And says of each peer what the table here says."""
    text = (ROOT / "docs" / "figures.md").read_text()
    table = text.partition(bench.BEGIN)[2].partition(bench.END)[0]
    for peer in bench_networks.PEERS:
        assert f"| {' | '.join(bench_networks.peer_cells(peer))} |\n" in table
    for row in bench_networks.ROWS:
        assert f"| {row.what} | {row.device or row.target} |" in table


def test_peers_figures_agree_with_each_other() -> None:
    """A clock divided by cycles is a rate."""
    rates = [peer for peer in bench_networks.PEERS if peer.fps and peer.fmax_mhz and peer.cycles]
    assert len(rates) == 2
    for peer in rates:
        assert peer.fmax_mhz and peer.cycles and peer.fps == round(1e6 * peer.fmax_mhz / peer.cycles)
