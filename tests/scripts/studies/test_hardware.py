"""What whole networks take of an FPGA: the runs that tell it, and the command that does them after the trainings."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from golden.contract.network.layer import LayerStep
from golden.experiments import structure
from golden.layers import load_network
from golden.support.cli import UserError
from hw.estimate.network import estimate_network
from hw.network.nodes.unit import UnitNode
from hw.plan.dsp_count import dsp_counts
from scripts import study
from scripts.studies import hardware
from scripts.studies.catalogue import STUDIES
from scripts.studies.result import Result
from scripts.studies.store import Store
from scripts.studies.worker import Job
from tests.scripts.studies.test_report import NETWORKS, figures_of, trained
from tests.support.places import ROOT
from tests.support.tiers import nightly


def test_estimates_are_of_the_whole_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "LANES", (8,))
    settings, shares = hardware.check({"bits": 4}), list[float]()
    (speed,) = hardware.estimate(settings, advance=shares.append)["speeds"]
    assert sum(shares) == pytest.approx(1)
    # 8 x 8 pixels of 16 x 16 channels in lanes of 8 x 8.
    assert speed["cycles"] == 256
    plan = hardware._plan(structure.structure(settings), hardware.TARGETS["xcup"], 256)
    whole = estimate_network(plan)
    layers = sum(whole.steps[step.name].lut for step in plan.config.network.steps if isinstance(step, LayerStep))
    assert speed["lut"] == whole.lut > layers


def test_powers_of_two_are_requantised_by_shifts() -> None:
    """The stem's sums take one beat, and other multipliers would be those of DSPs."""

    def multipliers(scales: str) -> list[int]:
        network = structure.structure(hardware.check({"bits": 4, "scales": scales}))
        nodes = hardware._plan(network, hardware.TARGETS["xcup"], 512).schedule.graph.nodes
        return [dsp_counts(placed.node.shapes)["requantise"] for placed in nodes if isinstance(placed.node, UnitNode)]

    assert any(multipliers("float")) and not any(multipliers("po2"))


@nightly
def test_synthesis_is_of_the_network_that_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network in place of the ResNet: multipliers and cycles are those of the estimate, LUTs nearly."""
    monkeypatch.setattr(structure, "structure", lambda settings: load_network("digits"))
    estimated = hardware.estimate(hardware.check({}), advance=lambda share: None)["speeds"][0]
    asked = hardware.check_synthesis({"cycles": estimated["cycles"]})
    found = hardware.synthesise(asked, advance=lambda share: None)
    assert {name: found[name] for name in ("cycles", "dsp", "bram")} == {
        name: estimated[name] for name in ("cycles", "dsp", "bram")
    }
    assert found["lut"] == pytest.approx(estimated["lut"], rel=0.15)


def test_synthesised_points_in_the_repository_bear_out_their_estimates() -> None:
    """And the page has both, one behind the other."""
    studies = ROOT / "docs" / "studies"
    with (studies / "pareto" / "hardware.csv").open(newline="") as stream:
        made = [row for row in csv.DictReader(stream) if row["synthesised_lut"]]
    page = (studies / "README.md").read_text()
    assert len(made) >= 3 and any(row["best"] == "1" for row in made)
    for row in made:
        assert row["dsp"] == row["synthesised_dsp"] and float(row["bram"]) == float(row["synthesised_bram"])
        assert float(row["synthesised_lut"]) == pytest.approx(float(row["lut"]), rel=0.15)
        pairs = (
            f"{float(row[key]):,g} / {float(row[f'synthesised_{key}']):,g}" for key in ("dsp", "lut", "ff", "bram")
        )
        line = " | ".join(pairs)
        assert re.search(rf"^\| `{row['row']}` \| [^|]* \| {re.escape(line)} \|$", page, re.MULTILINE), line


@pytest.mark.parametrize(
    ("check", "settings", "complaint"),
    [
        (hardware.check, {"target": "nosuch"}, "setting target 'nosuch' is not one of generic, ecp5, xc7, xcup"),
        (hardware.check, {"target": []}, "setting target [] is not one of"),
        (hardware.check, {"seed": 1}, "setting 'seed' is unknown"),
        (hardware.check_synthesis, {}, "setting cycles None is not an integer from 1 up"),
        (hardware.check_synthesis, {"cycles": 0}, "setting cycles 0 is not an integer from 1 up"),
    ],
)
def test_settings_that_are_refused(check: Any, settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        check(settings)


def test_command_does_what_tells_costs_behind_the_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[list[str]] = []

    def ran(jobs: Sequence[Job], client: object, *, keep: Any, watch: Any) -> list[Result]:
        points = {content: run for run in NETWORKS.runs() for content in [study.plan([run], store)[0].job.content]}
        results = []
        for job in jobs:
            point = points.get(job.content, NETWORKS.runs()[0])
            figures = trained(point).figures if job.content in points else figures_of(job)  # type: ignore[arg-type]
            results.append(
                dataclasses.replace(
                    trained(point), content=job.content, code=job.code, function=job.function_name, figures=figures
                )
            )
            keep(results[-1])
        done.append([job.function_name for job in jobs])
        return results

    monkeypatch.setitem(STUDIES, NETWORKS.name, NETWORKS)
    monkeypatch.setattr(study, "local_client", nullcontext)
    monkeypatch.setattr(study, "run_jobs", ran)
    place = str(tmp_path / "store.sqlite")
    with Store(place) as store:
        assert study.main([NETWORKS.name, "--store", place]) == 0
    # Two networks in 8 and in 4 bits, and one synthesis of each.
    assert done == [["experiment"] * 6, ["estimate", "estimate", "synthesis"] * 2]
    assert "networks, hardware: 6 runs, 0 of them stored before, 0 failed" in capsys.readouterr().out
    assert study.main([NETWORKS.name, "--store", place]) == 0 and len(done) == 2
    assert study.main([NETWORKS.name, "--store", place, "--dry-run"]) == 0
    assert "12 runs, 12 stored, 0 to do" in capsys.readouterr().out
