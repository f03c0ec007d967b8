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
#: The most runs of a study; more are a slip.
MOST_RUNS = 100_000

#: The values of an axis, or its labels with the settings that each stands for.
Axis = Sequence[Json] | Mapping[str, Settings]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A grid of settings of one function, and how its results are read.

    Attributes:
        name: what users call it.
        title: what its report is called.
        description: the question that it answers, in a sentence or two.
        function: name of the function in `scripts.studies.functions.FUNCTIONS`.
        fixed: settings that all runs share.
        axes: the axes by name, the last one innermost. The name of an axis of values is a setting. The name of an
            axis of labels is free, and each label stands for several settings.
        baseline: the value or label on some axes with which all others are compared, paired by seed.
        metrics: patterns of figures (see `scripts.studies.report`) that the report's table shows, in this order.
        numbered: what the number at the end of a metric's name counts, such as 8 in ``ptq.8``.
        number: such a number in words, with ``{}`` in its place.
        target: FPGA family for which the report shows what networks take; None where it shows none.
        synthesised: the cycles of a frame at which an integer network of each row is synthesised, too, by its metric.
    """

    name: str
    title: str
    description: str
    function: str = "experiment"
    fixed: Settings = field(default_factory=dict)
    axes: Mapping[str, Axis]
    baseline: Settings = field(default_factory=dict)
    metrics: Sequence[str] = ("*",)
    numbered: str = "bits of weights and activations"
    number: str = "{} bits"
    target: str | None = None
    synthesised: Mapping[str, int] = field(default_factory=dict)

    def replaced(self, assignments: Iterable[str]) -> Study:
        """The study with the values of each ``key=value``. Several values, separated by commas, make the key an axis.

        Values are JSON, or texts as they stand. `runs` checks whether settings are allowed.

        Raises:
            UserError: for an assignment of another form, a key that is named twice, a value that is there twice, and
                a label that an axis does not have.
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
        """Number of points of the grid."""
        return math.prod(len(values) for values in self.axes.values())

    def runs(self) -> list[Run]:
        """The run of each point of the grid, with all defaults filled in. The last axis runs fastest.

        Settings of labels override fixed settings. Settings of an axis of values override both. Different points
        may have the same settings, where a setting makes others meaningless.

        Raises:
            UserError: for settings that the function refuses, and for more than `MOST_RUNS` runs.
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
        """Axes with several values, without the seed. They distinguish the rows of a table."""
        return [key for key, values in self.axes.items() if key != SEED and len(values) > 1]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of a function.

    Attributes:
        function_name: name of the function in `scripts.studies.functions.FUNCTIONS`.
        settings: all settings, defaults included.
        point: its value or label on each axis of the study.
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
    """A value as people write it: a text as it stands, any other value as JSON."""
    return value if isinstance(value, str) else _text(value)


def parse_values(text: str) -> list[Json]:
    """The values in ``text``, separated by commas.

    They are JSON if the whole text can be read so. Otherwise each part is JSON if it can be, and else a text.
    """
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
