"""Random scenarios for reloadable units: what software and streams do, step by step.

A scenario is only stimulus. Whatever it does, `sim.reloadable.reference` knows from the ports which
frames must come out, with which contents, and what every register must show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call of a method of `sim.reloadable.scenario_bench.Player`: its name and its arguments."""

    name: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.values.items())})"


def _number(low: int, high: int) -> Callable[[np.random.Generator], int]:
    return lambda rng: int(rng.integers(low, high, endpoint=True))


def _one_of(*choices: Any) -> Callable[[np.random.Generator], Any]:
    return lambda rng: choices[rng.integers(len(choices))]


def _share(rng: np.random.Generator) -> float:
    return 0.0 if rng.random() < 0.6 else round(float(rng.uniform(0.05, 0.8)), 2)


#: When an apply is to take effect: at once, at the frame sent next, at the frame before that, or in the past.
_WHEN = _one_of("now", "now", "next", "next", "next", "soon", "past")
#: For each step, its relative frequency, and how each of its arguments is drawn.
STEPS: Mapping[str, tuple[float, Mapping[str, Callable[[np.random.Generator], Any]]]] = {
    "load": (2, {"when": _WHEN}),
    "settings": (5, {"when": _WHEN}),
    "part": (2, {"part": _one_of("weights", "constants"), "when": _WHEN}),
    "frames": (9, {"count": _number(1, 4)}),
    "short_frame": (2, {"share": lambda rng: round(float(rng.random()), 2)}),
    "long_frame": (1.5, {"surplus": _number(1, 40)}),
    "image": (2, {"kind": _one_of("short", "long", "interrupted", "whole")}),
    "bad_access": (3, {"count": _number(1, 4)}),
    "raw_apply": (1, {"parts": _number(0, 3)}),
    "pause": (2, {port: _share for port in ("source", "sink", "weights", "bus")}),
    "wait": (3, {"cycles": _number(1, 200)}),
    "hold": (1, {"cycles": _number(1, 150)}),
    "ignore_tlast": (0.7, {"on": _one_of(True, False)}),
    "clear": (1, {"what": _one_of("errors", "counters")}),
    "look": (3, {}),
    "settle": (1, {}),
    "soft_reset": (0.7, {}),
    "hard_reset": (0.4, {"cycles": _number(1, 3)}),
}


def random_scenario(rng: np.random.Generator) -> list[Step]:
    """A scenario of 6 to 29 random steps."""
    names = list(STEPS)
    weights = np.array([STEPS[name][0] for name in names])
    chosen = rng.choice(names, int(rng.integers(6, 30)), p=weights / weights.sum())
    return [
        Step(name=str(name), values={key: draw(rng) for key, draw in STEPS[str(name)][1].items()}) for name in chosen
    ]
