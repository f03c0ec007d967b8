"""What a run calls: functions from JSON settings to JSON figures, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from golden.support.cli import UserError

#: Any value of JSON; keys of objects are texts.
Json = Any
Settings = Mapping[str, Json]
Figures = dict[str, Json]
Advance = Callable[[float], object]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of JSON settings. Its parts are named ``module:name``, so that other processes find them.

    Attributes:
        run: ``run(settings, *, advance) -> figures``. It depends on its settings alone. It calls ``advance`` with
            shares of its work, which add up to 1.
        check: ``check(settings) -> settings``. It fills defaults in, and raises `UserError` for an unknown key or
            a value that is not allowed.
        ready: ``ready(settings)``. It raises `UserError` where this machine lacks something that a run needs. None
            where a run needs nothing.
        amount: ``amount(settings) -> float``. It says roughly how many seconds a run takes. None where nobody knows.
        needed: settings without which it refuses the others' defaults.
    """

    run: str
    check: str
    ready: str | None = None
    amount: str | None = None
    needed: Settings = field(default_factory=dict, hash=False)

    @property
    def module(self) -> str:
        """Name of the module that defines ``run``."""
        return self.run.partition(":")[0]

    def checked(self, settings: Settings) -> dict[str, Json]:
        """``settings`` with all defaults. Raises `UserError` for settings that are not allowed."""
        return _find(self.check)(settings)

    @property
    def defaults(self) -> dict[str, Json]:
        """All settings but the needed ones, with their defaults."""
        return {key: value for key, value in self.checked(self.needed).items() if key not in self.needed}

    def call(self, settings: Settings, advance: Advance) -> Figures:
        """The figures of checked ``settings``."""
        return _find(self.run)(settings, advance=advance)

    def look(self, settings: Settings) -> None:
        """Raise `UserError` where this machine lacks something that a run with checked ``settings`` needs."""
        if self.ready is not None:
            _find(self.ready)(settings)

    def guess(self, settings: Settings) -> float | None:
        """Seconds that a run with checked ``settings`` takes by the function's own model; None without a model."""
        return None if self.amount is None else _find(self.amount)(settings)


def _find(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


FUNCTIONS: dict[str, Function] = {
    "experiment": Function(
        run="scripts.studies.experiment:run",
        check="golden.experiments.experiment:check_settings",
        ready="scripts.studies.demands:check_data",
        amount="scripts.studies.demands:seconds",
    ),
    "approximation": Function(
        run="scripts.studies.approximation:run",
        check="scripts.studies.approximation:check",
    ),
    "attention": Function(
        run="scripts.studies.attention:run",
        check="scripts.studies.attention:check",
        ready="scripts.studies.demands:check_data",
        amount="scripts.studies.demands:seconds",
        needed={"variant": "xvolution"},
    ),
    "rtl": Function(
        run="scripts.studies.rtl:run",
        check="scripts.studies.rtl:check",
        ready="scripts.studies.rtl:ready",
        amount="scripts.studies.demands:seconds",
        needed={"variant": "xvolution", "bits": [8]},
    ),
    "estimate": Function(
        run="scripts.studies.hardware:estimate",
        check="scripts.studies.hardware:check",
        amount="scripts.studies.hardware:seconds_of_estimates",
    ),
    "synthesis": Function(
        run="scripts.studies.hardware:synthesise",
        check="scripts.studies.hardware:check_synthesis",
        ready="scripts.studies.hardware:ready",
        amount="scripts.studies.hardware:seconds_of_synthesis",
        needed={"cycles": 4096},
    ),
}


def find_function(name: str) -> Function:
    """The function called ``name``. Raises `UserError` if there is none."""
    if name not in FUNCTIONS:
        raise UserError(f"function {name!r} is not one of {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]
