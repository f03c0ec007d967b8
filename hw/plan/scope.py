"""Scope: what is known of frames and weights while a unit is built.

Of a frozen unit everything is known: one size of frame, the weights themselves. Of a reloadable
unit only limits are known: frames of any size up to the largest, weights of a format. Everything
that follows from this is asked here. Nothing else in `hw.plan` knows which kind a unit is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from golden.contract.bounds import Weighted
from golden.contract.extremes import Extremes
from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from hw.plan.config import UnitConfig
from hw.plan.frame_schedule import FrameCycleModel
from hw.plan.geometry import Geometry
from hw.plan.reload import Reload
from hw.plan.schedule import CycleModel
from hw.plan.settings import Settings


class Scope(Protocol):
    """What is known of the frames and weights of a unit."""

    @property
    def bounding(self) -> Weighted:
        """What all bounds follow from."""

    @property
    def settings(self) -> Settings:
        """The numbers that stages compute with."""

    @property
    def cycle_model(self) -> type[CycleModel]:
        """What predicts the unit's cycles."""

    def edge_columns(self, geometry: Geometry) -> tuple[int, ...]:
        """Distinct ``dx`` of the taps that lie outside the frame for some output."""

    def centre_slots(self, geometry: Geometry, slots: int) -> frozenset[int]:
        """Those of the ``slots`` slots of the row store that rows of centres come to lie in."""


def scope_of(config: UnitConfig) -> Scope:
    """The scope of a unit."""
    if config.reload is None:
        return FrozenScope(config.layer)
    return ReloadableScope(config.layer.config, config.reload)


@dataclass(frozen=True)
class FrozenScope:
    """The scope of a frozen unit: ``layer`` is the one that the unit computes."""

    layer: Layer
    cycle_model = CycleModel

    @property
    def bounding(self) -> Weighted:
        return self.layer

    @property
    def settings(self) -> Settings:
        return Settings.built_in(self.layer.config)

    def edge_columns(self, geometry: Geometry) -> tuple[int, ...]:
        c = self.layer.config
        ends = [c.first_centre + c.stride * x for x in (0, c.out_width - 1)]
        return tuple(dx for dx in geometry.columns if not all(0 <= x + dx < c.width for x in ends))

    def centre_slots(self, geometry: Geometry, slots: int) -> frozenset[int]:
        c = self.layer.config
        rows = [geometry.centre_row(q) for q in range(c.out_height)]
        return frozenset((frame * c.height + row) % slots for frame in range(slots) for row in rows)


@dataclass(frozen=True)
class ReloadableScope:
    """The scope of a reloadable unit: ``largest`` gives the largest frame and the formats, ``limits`` the shifts."""

    largest: LayerConfig
    limits: Reload
    cycle_model = FrameCycleModel

    @property
    def bounding(self) -> Weighted:
        return Extremes(config=replace(self.largest, attn_shift=self.limits.attn_shift.high))

    @property
    def settings(self) -> Settings:
        return Settings.at_run_time(self.limits)

    def edge_columns(self, geometry: Geometry) -> tuple[int, ...]:
        return tuple(dx for dx in geometry.columns if abs(dx) > self.largest.first_centre)

    def centre_slots(self, geometry: Geometry, slots: int) -> frozenset[int]:
        return frozenset(range(slots))
