"""One experiment: a network trained, quantised and measured, all of it decided by its settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch

from golden.experiments.settings import SETTINGS, build_network, check_settings
from golden.operators.network import Network, parameter_count
from golden.quantise.fake import FakeQuantised
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.quantise.qat import train_quantised
from golden.quantise.quantised import QuantisedNetwork
from golden.training import Examples, Task, load_task
from golden.training.train import Schedule, evaluate, reproducible, train

__all__ = ["check_settings", "measured_examples", "run_experiment", "task_of"]

#: Training epochs that take about as long as a quantisation with its evaluation, and as an epoch of QAT.
PTQ_COST, QAT_COST = 0.5, 2.0

#: Images that are measured at a time.
BATCH = 250

#: The last task stays loaded: runs that follow each other mostly have the same images.
_loaded = lru_cache(maxsize=1)(load_task)

Advance = Callable[[float], object]
#: A function that is called for each integer network: ``("ptq" or "qat", bits, network)``.
Keep = Callable[[str, int, QuantisedNetwork], object]
#: A function that is called with the trained network, merged, which post-training quantisation starts from.
KeepFloat = Callable[[Network], object]


def run_experiment(
    settings: Mapping[str, Any],
    *,
    advance: Advance = lambda part: None,
    keep: Keep = lambda how, bits, network: None,
    keep_float: KeepFloat = lambda network: None,
) -> dict[str, Any]:
    """Train the network of ``settings``, quantise it, and measure both.

    Args:
        settings: JSON values by name, see `golden.experiments.settings.SETTINGS`. Settings that are left
            out have their defaults.
        advance: called with the part of the work that was done. The parts add up to 1.
        keep: called with each integer network, for what the figures do not hold, such as its layers' weights.
        keep_float: called with the trained network, merged.

    Returns:
        JSON values. Equal settings give equal figures on one machine::

            settings    all of them, checked (see `golden.experiments.settings.LATER`)
            metric      what the figures count, such as "accuracy in percent"
            parameters  trained numbers of the network
            curve       for each epoch: epoch, loss, validation
            float       the metric of the trained network, on the images of ``split``
            tuned       null without QAT, else the metric of the network trained ``qat_epochs`` longer in
                        floats, which is what QAT is to be compared with
            ptq         by bits ("8"): metric of the integer network, and layers
            qat         by bits: metric, layers, curve, checked_images (how many), and equal (whether the
                        training's forward pass gave the integer network's integers on these images, in
                        every step)

        ``layers`` lists the layers that the variant put in a convolution's place. Each has its name, and
        its config as in a layer file.

    Raises:
        UserError: for settings that are not allowed (before any work), a data set that is missing
            or damaged, training that diverges, and a network that the integer contract refuses.
    """
    checked = check_settings(settings)
    task = task_of(checked)
    examples = measured_examples(task, checked)
    part = _parts(checked, advance)
    with reproducible(checked["seed"]):
        channels, _, _ = task.input_shape
        network = build_network(checked, channels, task.outputs)
        curve = train(network, task, _schedule(checked, ""), advance=part(checked["epochs"]))
        figures: dict[str, Any] = {
            "settings": checked,
            "metric": task.metric_name,
            "parameters": parameter_count(network),
            "curve": curve,
            "float": evaluate(network, task, examples),
            "tuned": None,
            "ptq": {},
            "qat": {},
        }
        keep_float(network.merged())
        calibration = task.train.images(slice(checked["calibration_images"]))
        for bits in checked["bits"]:
            done = part(PTQ_COST)
            integers = quantise_network(network.merged(), calibration, _precision(checked, bits), checked["method"])
            keep("ptq", bits, integers)
            figures["ptq"][str(bits)] = _measured(integers, task, examples)
            done(1)
        if checked["qat_bits"]:
            figures["tuned"] = _tuned(network.merged(), task, examples, checked, part(checked["qat_epochs"]))
        for bits in checked["qat_bits"]:
            fake, curve = train_quantised(
                network.merged(),
                task,
                _schedule(checked, "qat_"),
                _precision(checked, bits),
                calibration,
                method=checked["method"],
                advance=part(QAT_COST * checked["qat_epochs"]),
            )
            integers = fake.quantised()
            keep("qat", bits, integers)
            few = examples.subset(slice(checked["check_images"]))
            figures["qat"][str(bits)] = _measured(integers, task, examples) | {
                "curve": curve,
                "checked_images": len(few),
                "equal": same_integers(fake, integers, few),
            }
    return figures


def same_integers(fake: FakeQuantised, integers: QuantisedNetwork, examples: Examples) -> bool:
    """Whether both networks give the same integers for all ``examples``, in every step."""
    for batch in torch.arange(len(examples)).split(BATCH):
        images = examples.images(batch)
        with torch.no_grad():
            trained = fake.values(images)
        exact = integers.values(integers.quantise_images(images.numpy()))
        if not all((trained[name].numpy() == exact[name]).all() for name in exact):
            return False
    return True


def integer_metric(integers: QuantisedNetwork, task: Task, examples: Examples) -> float:
    """The task's metric of an integer network on ``examples``."""
    scores = [
        torch.from_numpy(integers.scores(integers.quantise_images(examples.images(batch).numpy())))
        for batch in torch.arange(len(examples)).split(BATCH)
    ]
    return task.metric(torch.cat(scores), examples.targets)


def _measured(integers: QuantisedNetwork, task: Task, examples: Examples) -> dict[str, Any]:
    layers = integers.layers
    return {
        "metric": integer_metric(integers, task, examples),
        "layers": [{"name": name, "config": json.loads(layers[name].config.to_json())} for name in integers.attended],
    }


def _tuned(network: Network, task: Task, examples: Examples, settings: Mapping[str, Any], advance: Advance) -> float:
    train(network, task, _schedule(settings, "qat_"), advance=advance)
    return evaluate(network, task, examples)


def task_of(settings: Mapping[str, Any]) -> Task:
    """The task of checked ``settings``. Raises `UserError` for a data set that is missing or damaged."""
    return _loaded(
        settings["task"],
        path=settings["data_path"],
        image_side=settings["image_side"],
        train_images=settings["train_images"],
        validation_images=settings["validation_images"],
        test_images=settings["test_images"],
        seed=settings["subset_seed"],
    )


def measured_examples(task: Task, settings: Mapping[str, Any]) -> Examples:
    """The images of ``task`` that an experiment with checked ``settings`` is measured on."""
    return task.test if settings["split"] == "test" else task.validation


def _schedule(settings: Mapping[str, Any], prefix: str) -> Schedule:
    """How to train, or with the prefix ``qat_`` how to go on training.

    Merged weights do not decay, because no batch norm follows them that would undo the decay.
    """
    return Schedule(
        epochs=settings[f"{prefix}epochs"],
        batch=settings[f"{prefix}batch"],
        learning_rate=settings[f"{prefix}learning_rate"],
        optimiser=settings["optimiser"],
        weight_decay=0.0 if prefix else settings["weight_decay"],
        augment=settings["augment"],
        seed=settings["data_seed"],
    )


def _precision(settings: Mapping[str, Any], bits: int) -> Precision:
    scales = settings.get("scales", SETTINGS["scales"].default)
    return Precision(bits=bits, edge_bits=settings["edge_bits"], layers=settings["mixed"], scales=scales)


def _parts(settings: Mapping[str, Any], advance: Advance) -> Callable[[float], Advance]:
    """A function from the cost of a piece of work to an ``advance`` of its own, whose amounts add up to 1."""
    quantised = PTQ_COST * len(settings["bits"])
    if settings["qat_bits"]:
        quantised += settings["qat_epochs"] * (1 + QAT_COST * len(settings["qat_bits"]))
    total = settings["epochs"] + quantised

    def part(cost: float) -> Advance:
        return lambda amount: advance(amount * cost / total)

    return part
