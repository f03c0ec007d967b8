"""An experiment as studies run it: its figures include the formats of all layers of its integer networks."""

from __future__ import annotations

from typing import Any

from golden.experiments.experiment import run_experiment
from golden.quantise.quantised import QuantisedNetwork
from scripts.studies.functions import Advance, Settings


def run(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """The figures of `golden.experiments.experiment.run_experiment`, and ``layers``.

    For each integer network, such as ``ptq.8``, ``layers`` has the configs of all its layers, as in layer files.
    The hardware's estimator needs them.
    """
    layers: dict[str, list[str]] = {}

    def keep(how: str, bits: int, network: QuantisedNetwork) -> None:
        layers[f"{how}.{bits}"] = [layer.config.to_json() for layer in network.layers.values()]

    return run_experiment(settings, advance=advance, keep=keep) | {"layers": layers}
