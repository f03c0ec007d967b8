"""What training needs to know of a task. Every kind of task implements `Task`; `Classification` is the first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Examples:
    """Images and what is to be said of them.

    Attributes:
        pixels: uint8 ``[N, C, H, W]``, 0 to ``full``.
        targets: ``[N, ...]``; for classification int64 ``[N]``.
        full: the pixel value that stands for 1.
    """

    pixels: Tensor
    targets: Tensor
    full: int = 255

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, which: Tensor | slice = slice(None)) -> Tensor:
        """Chosen images as float32 ``[n, C, H, W]`` from 0 to 1."""
        return self.pixels[which].float() / self.full

    def subset(self, which: Tensor | slice) -> Examples:
        """Chosen examples."""
        return Examples(self.pixels[which], self.targets[which], self.full)


class Task(ABC):
    """Three sets of examples, a loss to train by, and a metric to judge by.

    Args:
        name: as settings spell it.
        train, validation, test: the examples. Validation images are never trained on.
        outputs: numbers that a network gives for an image.
    """

    #: What `metric` counts, and in what unit.
    metric_name: str

    def __init__(self, name: str, train: Examples, validation: Examples, test: Examples, outputs: int) -> None:
        self.name = name
        self.train = train
        self.validation = validation
        self.test = test
        self.outputs = outputs

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """``(C, H, W)`` of an image."""
        channels, height, width = self.train.pixels.shape[1:]
        return channels, height, width

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What training lessens: a scalar for a batch of outputs ``[n, ...]``."""

    @abstractmethod
    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """What counts: one figure, the higher the better, for the outputs of a whole set."""


class Classification(Task):
    """One of ``outputs`` classes for each image."""

    metric_name = "accuracy in percent"
    #: Part of the probability that goes to the other classes.
    SMOOTHING = 0.1

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of scores ``[n, outputs]``, with smoothed labels."""
        return F.cross_entropy(outputs, targets, label_smoothing=self.SMOOTHING)

    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """Percent of the images whose class has the highest score. Of equal scores the first counts."""
        return 100.0 * float((outputs.argmax(dim=1) == targets).double().mean())


def split_examples(
    examples: Examples, validation_images: int, train_images: int | None, seed: int
) -> tuple[Examples, Examples]:
    """Training and validation examples, drawn at random by ``seed``.

    The validation examples do not depend on ``train_images``. Fewer training examples are always
    the first of more.
    """
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    end = len(examples) if train_images is None else validation_images + train_images
    return examples.subset(order[validation_images:end]), examples.subset(order[:validation_images])


def first_examples(examples: Examples, count: int | None, seed: int) -> Examples:
    """All examples, or ``count`` of them. They are drawn at random: sets on disk are often sorted by class."""
    if count is None:
        return examples
    return examples.subset(torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:count])
