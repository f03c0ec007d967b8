"""Training that a seed decides: on one machine it gives equal figures every time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from golden.operators.sliding import check_choice
from golden.support.cli import UserError
from golden.training import Examples, Task

OPTIMISERS = ("adamw", "sgd")
AUGMENTATIONS = ("flip", "shift")
#: The side of an image divided by the most pixels that ``shift`` moves it: 4 of 32, as is usual.
SHIFT_PART = 8
#: Images that are computed at a time where nothing is trained.
EVALUATION_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How to train.

    Attributes:
        epochs: passes over the training images.
        batch: images of a step.
        learning_rate: the highest rate. The rate rises to it and falls again (one cycle).
        optimiser: ``adamw`` or ``sgd`` (with Nesterov's momentum of 0.9).
        weight_decay: of the optimiser.
        augment: ``flip`` (left and right), ``shift`` (up to an eighth of the side, zeros come in), or both.
        seed: of the order of the images and their augmentation. Two networks that are trained with
            one seed see the same images in the same order.
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 0.01
    optimiser: str = "adamw"
    weight_decay: float = 0.02
    augment: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        for name in self.augment:
            check_choice("augment", name, AUGMENTATIONS)


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Run the body on one thread, with deterministic algorithms and this global seed of PyTorch.

    Afterwards all three are as before.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=()), threadpool_limits(1):
        # On one thread sums are added in the same order every time.
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)


def train(
    network: nn.Module,
    task: Task,
    schedule: Schedule,
    *,
    advance: Callable[[float], object] = lambda part: None,
    before_epoch: Callable[[int], object] = lambda epoch: None,
) -> list[dict[str, float]]:
    """Train ``network`` in place, and leave it in eval mode.

    Args:
        network: images to outputs of the task.
        task: gives images and loss.
        schedule: how to train.
        advance: called after each step with the part of the training it was. The parts add up to 1.
        before_epoch: called before each epoch with its number, from 0.

    Returns:
        For each epoch: ``epoch``, its number from 1, ``loss``, the mean over the training images, and
        ``validation``, the metric on the validation images.

    Raises:
        UserError: where the loss is no longer finite.
    """
    order = torch.Generator().manual_seed(schedule.seed)
    batches = -(-len(task.train) // schedule.batch)
    steps = schedule.epochs * batches
    optimiser = _optimiser(network, schedule)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.learning_rate, total_steps=max(steps, 2))
    curve = []
    for epoch in range(schedule.epochs):
        before_epoch(epoch)
        network.train()
        total = 0.0
        for which in torch.randperm(len(task.train), generator=order).split(schedule.batch):
            images = augmented(task.train.images(which), schedule.augment, order)
            loss = task.loss(network(images), task.train.targets[which])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
            total += float(loss.detach()) * len(which)
            advance(1 / steps)
        mean = total / len(task.train)
        if not mean < float("inf"):
            raise UserError(f"training diverged in epoch {epoch + 1}: the loss is {mean}, lower learning_rate")
        curve.append({"epoch": epoch + 1, "loss": mean, "validation": evaluate(network, task, task.validation)})
    network.eval()
    return curve


def evaluate(network: nn.Module, task: Task, examples: Examples) -> float:
    """The task's metric on ``examples``. ``network`` is put in eval mode, and stays there."""
    return task.metric(predict(network, examples), examples.targets)


def predict(network: nn.Module, examples: Examples) -> Tensor:
    """The outputs for all ``examples``, ``[N, ...]``. ``network`` is put in eval mode, and stays there."""
    network.eval()
    parts = torch.arange(len(examples)).split(EVALUATION_BATCH)
    with torch.no_grad():
        return torch.cat([network(examples.images(part)) for part in parts])


def augmented(images: Tensor, names: Sequence[str], generator: torch.Generator) -> Tensor:
    """Images ``[n, C, H, W]`` changed at random, each by itself, as ``names`` of `AUGMENTATIONS` say."""
    count, _, height, width = images.shape
    if "flip" in names:
        flips = torch.rand(count, generator=generator) < 0.5
        images = torch.where(flips[:, None, None, None], images.flip(3), images)
    if "shift" in names:
        most = max(1, min(height, width) // SHIFT_PART)
        padded = F.pad(images, (most, most, most, most))
        down, right = torch.randint(0, 2 * most + 1, (2, count), generator=generator)
        rows = (down[:, None] + torch.arange(height))[:, :, None]
        columns = (right[:, None] + torch.arange(width))[:, None, :]
        # Advanced indices apart from each other move their axes to the front.
        images = padded[torch.arange(count)[:, None, None], :, rows, columns].permute(0, 3, 1, 2).contiguous()
    return images


def _optimiser(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    options: Mapping[str, Any] = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay}
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True, **options)
    return torch.optim.AdamW(network.parameters(), **options)
