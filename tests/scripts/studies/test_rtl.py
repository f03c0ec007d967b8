"""Units of an experiment's layers in the simulator: which are simulated, and that a difference is noticed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from golden.experiments.experiment import check_settings, run_experiment
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError
from hw.export.verilog import Core
from scripts import study
from scripts.studies import rtl
from scripts.studies.catalogue import find_study
from scripts.studies.grid import Run
from sim.bulk.result import SimulationResult
from tests.support import commands

EXPERIMENT: dict[str, Any] = {"variant": "xvolution", "product": "inner", "heads": 2, "bits": [4, 8], "epochs": 1}
EXPERIMENT |= {"test_images": 20, "split": "test"}
EXPERIMENT |= {"task": "digits", "train_images": 64, "validation_images": 20, "calibration_images": 16}


def run_of(**settings: Any) -> Run:
    return Run(function_name="experiment", settings=check_settings({**EXPERIMENT, **settings}), point={"seed": 0})


def agreeing(core: Core, frames: np.ndarray, **options: Any) -> SimulationResult:
    """In place of a simulation: a unit that is right."""
    return commands.simulated(core, frames)


def wrong_in_4_bits(core: Core, frames: np.ndarray, **_: Any) -> SimulationResult:
    """In place of a simulation: with weights of 4 bits, the last element is wrong."""
    result = agreeing(core, frames)
    if core.config.layer.config.weight_bits == 4:
        result.beats[-1, -1] += 1
    return result


@pytest.fixture(scope="module")
def networks() -> list[tuple[str, int, QuantisedNetwork]]:
    """The integer networks of `EXPERIMENT`."""
    kept = list[tuple[str, int, QuantisedNetwork]]()
    run_experiment(EXPERIMENT, keep=lambda *network: kept.append(network))
    return kept


@pytest.fixture
def simulation(
    networks: list[tuple[str, int, QuantisedNetwork]], monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """No unit is generated, and nothing trained twice."""

    def trained(settings: dict[str, Any], *, advance: Any, keep: Any) -> None:
        assert settings == check_settings(EXPERIMENT)
        for network in networks:
            keep(*network)
        advance(1.0)

    monkeypatch.setattr(rtl, "run_experiment", trained)
    monkeypatch.setattr(rtl, "generate", lambda config: Core(config=config, verilog="", manifest={}))
    monkeypatch.setattr(rtl, "simulate", agreeing)
    return monkeypatch


def figures() -> dict[str, Any]:
    (run,) = rtl.simulations([run_of()], 7)
    shares: list[float] = []
    found = rtl.run(run.settings, advance=shares.append)
    assert sum(shares) == pytest.approx(1)
    return found


def test_every_layer_of_every_network_is_simulated(simulation: pytest.MonkeyPatch) -> None:
    found = figures()
    assert list(found["units"]) == ["ptq.4", "ptq.8"]
    for layers in found["units"].values():
        assert list(layers) == ["stage3_block1_first", "stage3_block1_second"]
        # 64 channels of 2x2 pixels.
        assert all(unit["images"] == 7 and unit["elements"] == 7 * 64 * 4 for unit in layers.values())
    assert rtl.elements(found) == 4 * 7 * 64 * 4 and list(rtl.complaints(found)) == []


def test_a_difference_is_noticed(simulation: pytest.MonkeyPatch) -> None:
    simulation.setattr(rtl, "simulate", wrong_in_4_bits)
    found = figures()
    lines = list(rtl.complaints(found))
    assert found["mismatches"] == 2 and len(lines) == 2
    assert lines[0].startswith("ptq.4, stage3_block1_first: 1 of 1792 elements differ: 1 of 1792 output elements are")
    assert "first frame 6, channel 63, y 1, x 1" in lines[0]


def test_a_broken_stream_is_a_difference(simulation: pytest.MonkeyPatch) -> None:
    simulation.setattr(rtl, "simulate", lambda *unit, **_: dataclasses.replace(agreeing(*unit), faults=["hangs"]))
    assert figures()["mismatches"] == 4 * 1792


def test_batches_are_the_whole(simulation: pytest.MonkeyPatch) -> None:
    whole = figures()
    simulation.setattr(rtl, "BATCH", 3)
    parts = figures()
    for layers in parts["units"].values():
        for unit in layers.values():
            # The stand-in takes as long for any number of images.
            assert unit["cycles"] == 300
            unit["cycles"] = 100
    assert parts == whole


# --- which ---


def test_only_what_is_in_integers_is_simulated() -> None:
    runs = [run_of(), run_of(variant="conv"), run_of(bits=[]), run_of(bits=[], qat_bits=[4])]
    found = rtl.simulations(runs, None)
    assert [run.settings["bits"] for run in found] == [[4, 8], []]
    assert all(run.function_name == "rtl" and run.settings["rtl_images"] is None for run in found)
    with pytest.raises(UserError, match="nothing to simulate: no X-volution is quantised"):
        rtl.simulations(runs[1:3], None)


def test_a_study_of_something_else_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="all runs are of attention, none is of experiment"):
        rtl.simulations(find_study("attention").runs(), None)


@pytest.mark.parametrize("images", [0, -1, 1.5, "2", True])
def test_images_that_are_refused(images: object) -> None:
    with pytest.raises(UserError, match=r"rtl_images .* allowed is null or an integer from 1 up"):
        rtl.check({**EXPERIMENT, "rtl_images": images})


def test_command_fails_where_the_verilog_differs(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"units": {"ptq.8": {"a": {"elements": 9, "mismatches": 1, "complaints": ["first"]}}}}
    (run,) = rtl.simulations([run_of()], None)
    console = study.Console()
    result = dataclasses.replace(commands.ran(study.plan([run], study.Store("none"))[0].job), figures=figures)
    assert study.compared(study.STUDIES["digits"], [(run, result)], console)
    assert "differs: rtl: seed 0: ptq.8, a: 1 of 9 elements differ: first" in capsys.readouterr().out
