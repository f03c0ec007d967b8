"""Estimates of what nodes and edges of a network are built from: counters, queues, and the end of a pipeline.

Control logic has no closed form. Its factors are fitted to synthesised components.
"""

from __future__ import annotations

from hw.blocks.pipeline import index_shape
from hw.estimate.cells import Cells
from hw.targets.area import Area


def counter_area(cells: Cells, size: int) -> Area:
    """`hw.blocks.pipeline.Counter`."""
    if size == 1:
        return Area()
    bits = index_shape(size).width
    return Area(lut=round(bits * (1.5 if cells.six else 2.5)) + 1, ff=bits + 1)


def queue_area(cells: Cells, depth: int, bits: int) -> Area:
    """`hw.blocks.queue.Queue` of entries of ``bits`` bits."""
    pointer, level = index_shape(depth).width, depth.bit_length()
    control = Area(lut=round((2 * pointer + level) * (0.8 if cells.six else 2)), ff=2 * pointer + level + 1)
    # Each LUT RAM of several behind each other has a write enable of its own.
    rows = -(-depth // (cells.fabric.ram_words * (2 if cells.fabric.ram_deepens else 1)))
    decoder = Area(lut=0 if rows == 1 else (1 if cells.six else 3) * rows)
    return control + cells.lut_memory(depth, bits) + decoder


def outlet_area(cells: Cells, depth: int, bits: int) -> Area:
    """A queue at the end of a pipeline, and the credit for it."""
    spare = 1 + (depth - 1).bit_length()
    return queue_area(cells, depth, bits) + Area(lut=round(spare * (1.5 if cells.six else 2)), ff=spare)
