"""What a run calls: functions from JSON settings to JSON figures, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from golden.cli import UserError

#: Anything that JSON can say; keys of objects are texts.
Json = Any
Settings = Mapping[str, Json]
Figures = dict[str, Json]
Advance = Callable[[float], object]


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of JSON settings, named so that other processes find it.

    Attributes:
        module: where it is defined; it is imported where it runs.
        run: name of ``run(settings, *, advance) -> figures``. It depends on its settings alone, and calls
            ``advance`` with shares of its work, which add up to 1.
        check: name of ``check(settings) -> settings``, which fills defaults in and raises `UserError` for an
            unknown key or a value that is not allowed.
        amount: name of ``amount(settings) -> float``, roughly how many seconds a run takes; None where nobody knows.
    """

    module: str
    run: str
    check: str
    amount: str | None = None

    def checked(self, settings: Settings) -> dict[str, Json]:
        """``settings`` with all defaults. Raises `UserError`."""
        return self._find(self.check)(settings)

    def call(self, settings: Settings, advance: Advance) -> Figures:
        """The figures of checked ``settings``."""
        return self._find(self.run)(settings, advance=advance)

    def guess(self, settings: Settings) -> float | None:
        """Seconds that a run with checked ``settings`` takes by the function's own model; None without one."""
        return None if self.amount is None else self._find(self.amount)(settings)

    def _find(self, name: str) -> Callable[..., Any]:
        return getattr(importlib.import_module(self.module), name)


FUNCTIONS: dict[str, Function] = {
    "experiment": Function(module="golden.experiment", run="run_experiment", check="check_settings"),
}


def find_function(name: str) -> Function:
    """The function called ``name``. Raises `UserError` if there is none."""
    if name not in FUNCTIONS:
        raise UserError(f"function {name!r} is not one of {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]
