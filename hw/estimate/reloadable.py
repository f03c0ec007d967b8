"""Estimates of what only a reloadable unit has: its control plane, its front and the memories that are loaded.

Control logic has no closed form. Its numbers are fitted to synthesised units.
"""

from __future__ import annotations

from collections.abc import Sequence

from hw.blocks.memory import kind
from hw.estimate.cells import Cells
from hw.frozen.input_order import InputOrder
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import bank_members, weight_skew
from hw.reloadable.frame_sets import set_layout
from hw.reloadable.loaded_words import LoadedWords
from hw.targets.area import Area

#: Bits that the control plane writes as a bias or a multiplier at once.
_CONSTANT_BITS = 32


class ReloadableKind:
    """The `hw.estimate.kind.Kind` of units whose layer comes at run time."""

    def stages(self, shapes: Shapes, cells: Cells) -> dict[str, Area]:
        bits = set_layout(shapes).size
        return {
            # The widest word of weights is put together in a register.
            "control": Area(lut=325 if cells.six else 545, ff=433 + max(_weight_banks(shapes))),
            # Two sets, and the numbers of frames that an apply compares.
            "frame_sets": Area(lut=round(3.1 * bits if cells.six else 55 + 4.2 * bits), ff=2 * bits + 97),
            "frame_writer": Area(lut=95 if cells.six else 158, ff=87 + shapes.pixel.size),
        }

    def sequencer(self, shapes: Shapes, cells: Cells) -> Area:
        # A walk over frames of any size takes half as much again as that over frames of one size.
        bits = sum(width for _, width in InputOrder(shapes).queues)
        return Area(lut=round(bits * (7.5 if cells.six else 14.4)), ff=10 * bits + 20)

    def beat_writer(self, shapes: Shapes, cells: Cells) -> tuple[float, int]:
        return 0, 0

    def words(self, shapes: Shapes, cells: Cells) -> Area:
        skews = len(set(weight_skew(shapes)))
        total = _store(shapes, cells, shapes.weight_depth, _weight_banks(shapes) * shapes.lanes, skews)
        for shape in (shapes.bias, shapes.multiplier):
            total += _store(shapes, cells, shapes.constant_depth, [shape.width] * shapes.folding.pe, 1)
        # What is written waits a cycle for its bank: a word of weights, and a constant.
        return total + Area(ff=max(_weight_banks(shapes)) + _CONSTANT_BITS)

    def alike(self, shapes: Shapes) -> float:
        return 0

    def bias_bits(self, shapes: Shapes) -> int:
        return shapes.bias.width

    def tags(self, shapes: Shapes, cells: Cells, latency: int) -> Area:
        # The number of the frame's set, and what the position says of the frame.
        return cells.delay(1, latency) + Area(lut=4, ff=16)


def _weight_banks(shapes: Shapes) -> list[int]:
    """Width of each of a lane's weight memories."""
    return [len(members) * shapes.weight.width for members in bank_members(shapes)]


def _store(shapes: Shapes, cells: Cells, depth: int, widths: Sequence[int], skews: int) -> Area:
    """Memories of ``widths`` bits a word that are read ``skews`` different numbers of cycles after the address."""
    keeper = LoadedWords(shapes.target, set_bits=shapes.config.limits.set_bits)
    words, address = keeper.words(depth), keeper.address(depth).width
    total = Area()
    for width in widths:
        if kind(shapes.target, words, read_only=False) == "block":
            # A Xilinx block RAM keeps one of the two registers behind the read, an ECP5's block RAM keeps both.
            total += cells.block(words, width) + Area(ff=width if cells.six else 0)
        else:
            total += cells.lut_memory(words, width) + Area(ff=2 * width)
        # Whether the word that is written is the bank's.
        total += Area(lut=1, ff=1)
    # Each bank of a lane with registers of its own has an address of its own, too.
    copies = len(widths) if shapes.target.lane_registers else skews
    return total + Area(ff=address * (copies + 1))
