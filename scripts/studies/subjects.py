"""What accuracy is measured of: networks with a name or in a file, and those of a study's run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from golden.contract.network.argmax import Argmax
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import read_network
from golden.contract.scales import to_steps
from golden.experiments.experiment import measured_examples, task_of
from golden.experiments.float_file import read_float
from golden.layers import activations, float_path, labels, layer_path, load_network
from golden.support.arrays import read_array
from golden.support.cli import UserError
from golden.training import TASKS, Examples, load_task
from hw.export.network_verilog import NetworkCore
from scripts.studies.accuracy import Subject
from scripts.studies.grid import Run
from scripts.studies.trained import float_name, integer_names

#: Makes the Verilog of a network.
Make = Callable[[IntegerNetwork], NetworkCore]


def of_network(
    name: str, make: Make, *, task: str | None, data_path: str | None, images: int | None, float_file: Path | None
) -> Subject:
    """A network, judged by the test images of ``task``.

    Args:
        name: of the network, or its file.
        make: makes its Verilog.
        task: one of `golden.training.TASKS`; None: the images that are recorded with the network.
        data_path: folder of the data set; None: where its package puts it.
        images: number of the first images that count; None: all.
        float_file: its float form; None: the one beside a network with a name, where there is one.

    Raises `UserError` where these do not go together, or an image or a file is missing.
    """
    network = load_network(name)
    if task is None:
        if float_file is not None:
            raise UserError(f"--float {float_file} needs --task, as recorded images are integers")
        return _recorded(name, network, make, images)
    loaded = load_task(task, path=data_path)
    path = float_file or float_path(name)
    return _judged(name, network, make, _first(loaded.test, images), loaded.outputs, path)


def inputs_of(name: str) -> list[Path | None]:
    """Files that `of_network` reads of the network called ``name``; None for each that there is not."""
    return [layer_path(name), activations(name), labels(name), float_path(name)]


def measured(run: Run, images: int | None) -> Examples:
    """What a study's ``run`` is measured on, the first ``images`` of it. Raises `UserError` where there are fewer."""
    return _first(measured_examples(task_of(run.settings), run.settings), images)


def of_run(run: Run, folder: Path, examples: Examples, make: Make) -> list[Subject]:
    """The networks of a study's ``run``, which are in ``folder``, judged by ``examples``."""
    outputs, floats = task_of(run.settings).outputs, folder / float_name(run.settings)
    return [
        _judged(name, read_network(folder / f"{name}.npz"), make, examples, outputs, floats) for name in names_of(run)
    ]


def names_of(run: Run) -> list[str]:
    """Names of the networks of a study's ``run``: those of their files."""
    return [Path(name).stem for name in integer_names(run.settings)]


def _recorded(name: str, network: IntegerNetwork, make: Make, images: int | None) -> Subject:
    frames_path, labels_path = activations(name), labels(name)
    if frames_path is None or labels_path is None:
        raise UserError(f"network {name} has no recorded images, --task is needed, one of {', '.join(TASKS)}")
    frames, answers = network.check_input(read_array(frames_path)), read_array(labels_path)
    _check_count(images, len(frames))
    _classes(network)
    return Subject(name=name, core=make(network), frames=frames[:images], labels=answers[:images])


def _judged(
    name: str, network: IntegerNetwork, make: Make, examples: Examples, outputs: int, float_path: Path | None
) -> Subject:
    if _classes(network) != outputs:
        raise UserError(f"network {name} tells {_classes(network)} classes apart, the images have {outputs}")
    image = network.image
    if image.scale is None:
        raise UserError(f"network {name} records no scale of its image, which real images need")
    shape = tuple(examples.pixels.shape[1:])
    if shape != image.shape:
        raise UserError(f"network {name} takes images of {list(image.shape)}, those of the task are {list(shape)}")
    content = None
    if float_path is not None:
        _check_float(name, float_path, shape, outputs)
        content = float_path.read_bytes()
    frames = to_steps(examples.images().double().numpy(), image.scale, image.limits)
    return Subject(
        name=name,
        core=make(network),
        frames=frames.astype(np.int16),
        labels=examples.targets.numpy(),
        real=None if content is None else examples,
        float_file=content,
    )


def _check_float(name: str, path: Path, shape: tuple[int, ...], outputs: int) -> None:
    floats = read_float(path)
    if (floats.in_channels, floats.outputs) != (shape[0], outputs):
        found = f"takes {floats.in_channels} channels and gives {floats.outputs} numbers"
        raise UserError(f"float file {path}: {found}, network {name} takes {shape[0]} and gives {outputs}")


def _classes(network: IntegerNetwork) -> int:
    """Number of classes that a network tells apart. Raises `UserError` where it gives more than a pixel."""
    result = network.output_result
    if (result.height, result.width) != (1, 1):
        raise UserError(f"the network gives {list(result.shape)}, accuracy is of one pixel")
    (last,) = (step for step in network.steps if step.name == network.output)
    return network.results[last.inputs[0]].channels if isinstance(last, Argmax) else result.channels


def _first(examples: Examples, images: int | None) -> Examples:
    _check_count(images, len(examples))
    return examples.subset(slice(images))


def _check_count(images: int | None, most: int) -> None:
    if images is not None and images > most:
        raise UserError(f"--images {images} is too many, there are {most} images")
