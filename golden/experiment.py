"""One experiment: a network trained, quantised and measured, all of it decided by its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from golden.experiment_settings import build_network, check_settings
from golden.networks.network import parameter_count
from golden.tasks import Task, load_task
from golden.training import Schedule, evaluate, reproducible, train

__all__ = ["check_settings", "run_experiment"]


def run_experiment(
    settings: Mapping[str, Any], *, advance: Callable[[float], object] = lambda part: None
) -> dict[str, Any]:
    """Train the network of ``settings`` and measure it.

    Args:
        settings: JSON values by name, see `golden.experiment_settings.SETTINGS`; defaults fill the rest.
        advance: called with the part of the work that was done; the parts add up to 1.

    Returns:
        JSON values. The same settings give the same figures on the same machine::

            settings    all of them, checked
            metric      what the figures count, such as "accuracy in percent"
            parameters  trained numbers of the network
            curve       for each epoch: epoch, loss, validation
            float       the metric of the trained network, on the images of ``split``

    Raises:
        UserError: for settings that are not allowed (before any work), a data set that is missing
            or damaged, and training that diverges.
    """
    checked = check_settings(settings)
    task = _task(checked)
    channels, _, _ = task.input_shape
    with reproducible(checked["seed"]):
        network = build_network(checked, channels, task.outputs)
        schedule = Schedule(
            epochs=checked["epochs"],
            batch=checked["batch"],
            learning_rate=checked["learning_rate"],
            optimiser=checked["optimiser"],
            weight_decay=checked["weight_decay"],
            augment=checked["augment"],
            seed=checked["data_seed"],
        )
        curve = train(network, task, schedule, advance=advance)
        examples = task.test if checked["split"] == "test" else task.validation
        return {
            "settings": checked,
            "metric": task.metric_name,
            "parameters": parameter_count(network),
            "curve": curve,
            "float": evaluate(network, task, examples),
        }


def _task(settings: Mapping[str, Any]) -> Task:
    return load_task(
        settings["task"],
        path=settings["data_path"],
        image_side=settings["image_side"],
        train_images=settings["train_images"],
        validation_images=settings["validation_images"],
        test_images=settings["test_images"],
        seed=settings["subset_seed"],
    )
