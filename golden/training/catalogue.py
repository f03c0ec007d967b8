"""The tasks by name: where their images come from, and how they are split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from golden.operators.sliding import check_choice
from golden.support.cli import UserError
from golden.training import sources
from golden.training.task import Classification, Examples, Task, first_examples, split_examples

#: ``(path, image side) -> (training examples, test examples, number of classes)``.
Source = Callable[[str | None, int], tuple[Examples, Examples, int]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a task's images come from.

    Attributes:
        source: the function that reads the images.
        validation_images: training images that are kept for validation, unless the user says otherwise.
    """

    source: Source
    validation_images: int


TASKS: dict[str, Entry] = {
    "digits": Entry(source=sources.digits, validation_images=297),
    "fashion_mnist": Entry(source=sources.fashion_mnist, validation_images=5000),
    "cifar10": Entry(source=sources.cifar10, validation_images=5000),
    "image_folder": Entry(source=sources.image_folder, validation_images=500),
}


def load_task(
    name: str,
    *,
    path: str | None = None,
    image_side: int = 64,
    train_images: int | None = None,
    validation_images: int | None = None,
    test_images: int | None = None,
    seed: int = 0,
) -> Task:
    """A task with its images in memory, as bytes.

    Args:
        name: one of `TASKS`.
        path: folder of the data set; None: where its package puts it.
        image_side: pixels of the images' sides, for ``image_folder`` only.
        train_images: how many; None: all that validation leaves.
        validation_images: how many; None: the task's own number.
        test_images: how many; None: all.
        seed: of the draw of training, validation and test images.

    Raises:
        UserError: for an unknown name; for a missing or damaged data set, naming the package or
            path that brings it; and for more images than there are.
    """
    check_choice("task", name, tuple(TASKS))
    entry = TASKS[name]
    everything, test, classes = entry.source(path, image_side)
    held_out = entry.validation_images if validation_images is None else validation_images
    room = len(everything) - held_out
    if room < 1:
        raise UserError(f"validation_images {held_out} leaves none of the {len(everything)} images to train on")
    for label, count, most in (("train_images", train_images, room), ("test_images", test_images, len(test))):
        if count is not None and not 1 <= count <= most:
            raise UserError(f"{label} {count} is not an integer from 1 to {most}, the images that {name} has")
    train, validation = split_examples(everything, held_out, train_images, seed)
    return Classification(name, train, validation, first_examples(test, test_images, seed), classes)
