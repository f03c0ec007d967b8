"""Kind: what of an estimate depends on whether a unit's layer is built in or comes at run time."""

from __future__ import annotations

from typing import Protocol

from hw.estimate.cells import Cells
from hw.plan.shapes import Shapes
from hw.targets.area import Area


class Kind(Protocol):
    """A kind of unit: `hw.estimate.frozen` or `hw.estimate.reloadable`."""

    def stages(self, shapes: Shapes, cells: Cells) -> dict[str, Area]:
        """Stages that no other kind has."""

    def sequencer(self, shapes: Shapes, cells: Cells) -> Area:
        """`hw.unit.sequencer` with its walk."""

    def beat_writer(self, shapes: Shapes, cells: Cells) -> tuple[float, int]:
        """LUTs and flip-flops of what places input beats, as far as it is in the row store."""

    def words(self, shapes: Shapes, cells: Cells) -> Area:
        """`hw.unit.word_store` of weights, biases and multipliers."""

    def alike(self, shapes: Shapes) -> float:
        """Share of the bits of biases and multipliers that synthesis sees to be the same in all words."""

    def bias_bits(self, shapes: Shapes) -> int:
        """Bits of a bias that differ from each other."""

    def tags(self, shapes: Shapes, cells: Cells, latency: int) -> Area:
        """What each beat takes along for the ``latency`` cycles from its issue to the output."""
