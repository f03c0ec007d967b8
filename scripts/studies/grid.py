"""A study: a declared grid of settings, and the runs that it unfolds to."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from reprlib import repr as brief

from golden.support.cli import UserError
from scripts.studies.functions import Function, Json, Settings, find_function

#: The axis whose values only repeat a run.
SEED = "seed"
#: Runs that a study may have; more is a slip.
MOST_RUNS = 100_000

#: Values of an axis, or settings by the label that stands for them.
Axis = Sequence[Json] | Mapping[str, Settings]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A grid of settings of one function, and how its results are read.

    Attributes:
        name: what users call it.
        description: the question that it answers, in a sentence or two.
        function: name in `scripts.studies.functions.FUNCTIONS`.
        fixed: settings that all runs share.
        axes: of each axis its values, the last one innermost. The key of an axis with values is a setting; an axis
            of labels is only a name, and each of its labels stands for several settings.
        baseline: value or label on some axes, with which all others are compared, paired by seed.
        metrics: patterns of figures (see `scripts.studies.report`) that the report's table shows, in this order.
        numbered: what the number at the end of a metric's name counts, such as 8 in ``ptq.8``.
        target: FPGA family for which the report says what the layers take; None where it does not.
    """

    name: str
    description: str
    function: str = "experiment"
    fixed: Settings = field(default_factory=dict)
    axes: Mapping[str, Axis]
    baseline: Settings = field(default_factory=dict)
    metrics: Sequence[str] = ("*",)
    numbered: str = "bits of weights and activations"
    target: str | None = None

    def replaced(self, assignments: Iterable[str]) -> Study:
        """The study with what each ``key=value`` says; several values, separated by commas, make the key an axis.

        Values are JSON, or texts as they stand. Raises `UserError` for what is not of this form, a key named twice
        and a label that an axis does not have; whether a setting is allowed is for `runs` to say.
        """
        axes, named = dict(self.axes), set[str]()
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            if not (key and equals and text):
                raise UserError(f"--set {brief(assignment)} is not KEY=VALUE, allowed keys are {self._keys()}")
            if key in named:
                raise UserError(f"--set {key} is there twice, give its values separated by commas")
            named.add(key)
            values, old = parse_values(text), self.axes.get(key)
            if isinstance(old, Mapping):
                for label in values:
                    if not isinstance(label, str) or label not in old:
                        raise UserError(f"{key} {brief(label)} is not one of {', '.join(old)}")
                axes[key] = {label: old[label] for label in values}
            else:
                axes[key] = values
            if len({_text(value) for value in values}) < len(values):
                raise UserError(f"{key} {brief(text)} has a value twice")
        return dataclasses.replace(self, axes=axes)

    def _keys(self) -> str:
        return ", ".join(dict.fromkeys([*self.axes, *self.fixed]))

    @property
    def size(self) -> int:
        """Points of the grid."""
        return math.prod(len(values) for values in self.axes.values())

    def runs(self) -> list[Run]:
        """Of each point of the grid its run, the last axis running fastest, with all defaults filled in.

        Settings of an axis of values override those of labels, and these the fixed ones. Different points may have
        the same settings: where one of them makes others meaningless. Raises `UserError` for settings that the
        function refuses, and more than `MOST_RUNS`.
        """
        if self.size > MOST_RUNS:
            raise UserError(f"study {self.name} would have {self.size} runs, allowed are {MOST_RUNS}")
        return [self._run(point) for point in self._points()]

    def _run(self, point: Settings) -> Run:
        settings = dict(self.fixed)
        for key, label in point.items():
            axis = self.axes[key]
            settings |= axis[label] if isinstance(axis, Mapping) else {}
        settings |= {key: value for key, value in point.items() if not isinstance(self.axes[key], Mapping)}
        checked = find_function(self.function).checked(settings)
        return Run(function_name=self.function, settings=checked, point=point)

    def _points(self) -> Iterator[dict[str, Json]]:
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    @property
    def varied(self) -> list[str]:
        """Axes with several values, but for the seed: what distinguishes the rows of a table."""
        return [key for key, values in self.axes.items() if key != SEED and len(values) > 1]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of a function.

    Attributes:
        function_name: in `scripts.studies.functions.FUNCTIONS`.
        settings: all of them, defaults included.
        point: value or label on each axis of the study.
    """

    function_name: str
    settings: Settings
    point: Settings

    @property
    def function(self) -> Function:
        return find_function(self.function_name)

    def label(self, axes: Iterable[str]) -> str:
        """The point on ``axes`` in words."""
        return ", ".join(f"{key} {shown(self.point[key])}" for key in axes if key in self.point)


def shown(value: Json) -> str:
    """A value as people write it: texts as they stand, all else as JSON."""
    return value if isinstance(value, str) else _text(value)


def parse_values(text: str) -> list[Json]:
    """JSON values separated by commas; where that is no JSON, each part between commas that is none is a text."""
    try:
        return list(_parsed(f"[{text}]"))
    except ValueError:
        return [_value(part) for part in text.split(",")]


def _value(text: str) -> Json:
    try:
        return _parsed(text)
    except ValueError:
        return text


def _parsed(text: str) -> Json:
    def refuse(constant: str) -> Json:
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)
