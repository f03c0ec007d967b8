"""The networks of a study's run. They are trained again from its settings, which gives the same networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from golden.contract.network.network_file import network_bytes
from golden.experiments.experiment import run_experiment, task_of
from golden.experiments.float_file import Trained, float_bytes
from golden.operators.network import Network
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cache import cached
from golden.support.cli import UserError
from scripts.studies.content import code_version, content_key
from scripts.studies.functions import Advance, find_function
from scripts.studies.grid import Run, Study

#: Name of the function of runs that train networks.
EXPERIMENT = "experiment"


def only_run(study: Study) -> Run:
    """The only run of ``study``. Raises `UserError` where it has others, or none that gives integer networks."""
    runs = study.runs()
    if len(runs) != 1:
        raise UserError(f"study {study.name} has {len(runs)} such runs, --set must leave one, such as --set seed=0")
    (run,) = runs
    if run.function_name != EXPERIMENT:
        raise UserError(f"study {study.name} is of {run.function_name}, allowed are studies of {EXPERIMENT}")
    if not run.settings["bits"] and not run.settings["qat_bits"]:
        raise UserError(f"study {study.name} quantises no network here, add --set bits=[8] or --set qat_bits=[4]")
    return run


def float_name(settings: Mapping[str, Any]) -> str:
    """The file name of the float network of an experiment."""
    return f"{settings['task']}_float.npz"


def integer_names(settings: Mapping[str, Any]) -> list[str]:
    """The file names of the integer networks of an experiment: those quantised after training come first."""
    quantised = [("ptq", bits) for bits in settings["bits"]] + [("qat", bits) for bits in settings["qat_bits"]]
    return [_integer_name(settings, how, bits) for how, bits in quantised]


def _integer_name(settings: Mapping[str, Any], how: str, bits: int) -> str:
    return f"{settings['task']}_{how}{bits}.npz"


def trained(run: Run, advance: Advance) -> Path:
    """The folder with the files of the networks of ``run``. They are trained where the cache does not have them.

    ``advance`` is called with shares of the training, which add up to 1.
    """

    def train(folder: Path) -> None:
        for name, content in _train(run.settings, advance).items():
            (folder / name).write_bytes(content)

    return cached(["trained", content_key(EXPERIMENT, run.settings), code_version(find_function(EXPERIMENT))], train)


def _train(settings: Mapping[str, Any], advance: Advance) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    task = task_of(settings)

    def keep(how: str, bits: int, network: QuantisedNetwork) -> None:
        files[_integer_name(settings, how, bits)] = network_bytes(network.integers)

    def keep_float(network: Network) -> None:
        channels, _, _ = task.input_shape
        floats = Trained(network=network, settings=settings, in_channels=channels, outputs=task.outputs)
        files[float_name(settings)] = float_bytes(floats)

    run_experiment(settings, advance=advance, keep=keep, keep_float=keep_float)
    return files
