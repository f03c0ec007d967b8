"""How far the integers of a network are from what its source computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.convert.held import Held


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a result is from its source's, over all calibration images.

    Attributes:
        steps: the largest difference, in steps of the result.
        part: the largest difference as a part of the largest magnitude that the source has there.
        unequal: the part of all elements that are not the source's value rounded to steps.
    """

    steps: float
    part: float
    unequal: float


def differences(
    held: Mapping[str, Held],
    integers: Mapping[str, np.ndarray],
    source: Mapping[str, np.ndarray],
    sources: Mapping[str, str],
) -> dict[str, Difference]:
    """The difference of each result that the source has, too, by the step's name.

    Args:
        held: what the integers of results stand for, by the names of the steps.
        integers: results for the images, by the same names.
        source: the source's results for the same images, by its own names.
        sources: the source's name of each step's result, and of the image. Not all need be in ``source``.
    """
    found = {}
    for step, wanted in in_steps(held, integers, source, sources).items():
        own = held[step].steps(integers[step]).astype(np.float64)
        found[step] = Difference(
            steps=float(np.abs(own - wanted).max()),
            part=largest_part(own, wanted),
            unequal=float((own != np.rint(wanted)).mean()),
        )
    return found


def in_steps(
    held: Mapping[str, Held],
    integers: Mapping[str, np.ndarray],
    source: Mapping[str, np.ndarray],
    sources: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """The source's own results in steps of ours, by the names of the steps. Arguments are those of `differences`."""
    return {
        step: source[name].reshape(integers[step].shape) / abs(held[step].scale)
        for step, name in sources.items()
        if name in source and step in held
    }


def answers_changed(integers: np.ndarray, source: np.ndarray) -> float | None:
    """The part of images whose answer differs: the index of the largest score, or the index itself.

    None where the results are frames of more than one pixel.
    """
    if integers.ndim == 4 and integers.shape[2:] != (1, 1):
        return None
    return float((answers(integers) != answers(source)).mean())


def answers(results: np.ndarray) -> np.ndarray:
    """The answer ``[N]`` to each image: the index of its largest score, or the one number that there is."""
    scores = results.reshape(len(results), -1)
    return scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0]


def largest_part(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference of two results, as a part of the largest magnitude of the second."""
    gap, largest = float(np.abs(first - second).max()), float(np.abs(second).max())
    return gap / largest if largest else gap
