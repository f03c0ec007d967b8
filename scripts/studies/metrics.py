"""What the figures of runs mean: their names in words, and the range that they lie in.

A figure is named by its path, such as ``ptq.8`` or ``share.stage3_block1_first``. A number at the end is what a
study counts with `scripts.studies.grid.Study.numbered`.
"""

from __future__ import annotations

import math
import re

from scripts.studies.grid import Study
from scripts.studies.statistics import ANY

#: A metric with a number at its end: its kind, and the number.
NUMBERED = re.compile(r"(.+)\.(\d+)")
#: Metrics that count what the report names as its unit.
ACCURACY = re.compile(r"float|tuned|(ptq|qat)(\.\d+)?")
#: Kinds of metrics, and what they are called.
PHRASES = (
    (r"float", r"in floats"),
    (r"tuned", r"in floats, trained further"),
    (r"ptq", r"quantised after training"),
    (r"qat", r"trained in few bits"),
    (r"share\.(.+)", r"share of attention in percent, \1"),
    (r"(error|correlation)\.(\w+) trained\.(.+)", r"\1 on \2, \3"),
    (r"(error|correlation)\.(\w+) random\.(.+)", r"\1 on \2, random attention, \3"),
    (r"sees\.(.+)", r"pixels seen by \1"),
    (r"grows\.(.+)", r"power of pixels that multiplications grow with, \1"),
)
#: Parts of names, and what takes their place.
PARTS = (
    (r"stage(\d+)_block(\d+)_(first|second)", r"stage \1, block \2, \3 convolution"),
    (r"\bboth\b", r"convolution and pixel shifts"),
    (r"_", r" "),
    (r"\.", r", "),
)
#: The range of metrics by the first part of their name, where they have one.
RANGES = {"share": (0.0, 100.0), "correlation": (-1.0, 1.0), "error": (0.0, math.inf), "parameters": (0.0, math.inf)}


def kind_and_number(metric: str) -> tuple[str, int | None]:
    """The parts of a name: ``ptq.8`` is ``ptq`` with 8. None where there is no number."""
    match = NUMBERED.fullmatch(metric)
    return (metric, None) if match is None else (match[1], int(match[2]))


def words(metric: str, study: Study) -> str:
    """A metric of ``study`` in words, such as "quantised after training, 8 bits"."""
    kind, number = kind_and_number(metric)
    return kind_words(kind) if number is None else f"{kind_words(kind)}, {study.number.format(number)}"


def kind_words(kind: str) -> str:
    """A metric without its number in words, such as "quantised after training"."""
    for pattern, phrase in PHRASES:
        if match := re.fullmatch(pattern, kind):
            kind = match.expand(phrase)
            break
    for pattern, phrase in PARTS:
        kind = re.sub(pattern, phrase, kind)
    return kind


def value_range(metric: str, unit: str) -> tuple[float, float]:
    """The least and the largest value that a metric can have. ``unit`` is what accuracies count."""
    if ACCURACY.fullmatch(metric):
        return (0.0, 100.0) if unit.endswith("in percent") else ANY
    return RANGES.get(metric.split(".")[0], ANY)
