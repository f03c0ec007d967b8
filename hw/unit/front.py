"""Front: what stands between a unit's input and its stages, as the stages see it.

A front writes input beats into the row store, walks over the beats that can be read, and tells of
each output position what the stages must know. A front of `hw.frozen` knows everything when it is
built, one of `hw.reloadable` only limits. The stages see this of either:

    input -> RowWriter -> row store        Walk -> sequencer        Positions -> sequencer, window
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Member

from hw.blocks.pipeline import index_shape
from hw.plan.shapes import Shapes


def read_layout(shapes: Shapes, release: Any) -> data.StructLayout:
    """A read of the row store.

    Members:
        address: beat within a row (column group, channel beat) to read.
        slot: slot of the row of the centres.
        row_valid: for each window row, whether it lies inside the frame.
        release: what is read for the last time, of the shape ``release`` that the front's writer takes.
    """
    g = shapes.geometry
    return data.StructLayout(
        {
            "address": index_shape(g.groups * g.channel_beats),
            "slot": index_shape(shapes.schedule.slots),
            "row_valid": len(g.rows),
            "release": release,
        }
    )


class RowWriter(Protocol):
    """Decides where in the row store each input beat goes.

    Attributes:
        ports: ports of the row store through which the beats come.
    """

    ports: Mapping[str, Member]

    def write(self, m: Module, store: Any) -> data.View:
        """Add what decides to the row store's module. Returns a `hw.unit.row_write.row_write`, one in each cycle."""


class Walk(Protocol):
    """A component that knows the beats which read the row store, in order, and whether the next one can be read.

    The next beat is the *head*.

    Members:
        i_step: the head is issued in this cycle; only while ``o_arrived``.
        o_arrived: the head can be issued.
        o_starts_output: the head's group starts an output position.
        o_starts_frame: the head is a frame's first beat. This only counts where the head is its group's first beat.
        o_next_starts_frame: the beat behind the head is a frame's first. This only counts where the head is its
            group's last beat.
        o_read: a `read_layout`, a cycle after the step. Without a step nothing is released.

    Attributes:
        queues: depth and width of each queue.
    """

    queues: list[tuple[int, int]]
    i_step: Any
    o_arrived: Any
    o_starts_output: Any
    o_starts_frame: Any
    o_next_starts_frame: Any
    o_read: Any


class RowWalk(Walk, Protocol):
    """A walk of a unit that reads early (`hw.unit.early`).

    Members:
        i_written: one more input beat has been written.
        o_starts_row: the head's group is the first of a row in order.
    """

    i_written: Any
    o_starts_row: Any


@dataclass(frozen=True, kw_only=True)
class Issue:
    """What the sequencer decides in a cycle, for what follows the output positions.

    Attributes:
        pushes: a beat is issued that pushes.
        works: a beat is issued that works on an output.
        last_channel: the beat is the last of its pixels' channel beats.
        ends_output: the beat is the last of its output position.
    """

    pushes: Value
    works: Value
    last_channel: Value
    ends_output: Value


class Positions(Protocol):
    """What goes along with the output positions, from the sequencer to the window.

    Attributes:
        sequencer_ports: ports of the sequencer, beside those that it has with every front.
        window_ports: ports of the window, beside those that it has with every front.
    """

    sequencer_ports: Mapping[str, Member]
    window_ports: Mapping[str, Member]

    def follow(self, m: Module, sequencer: Any, issue: Issue) -> None:
        """Advance over the output positions in the sequencer's module. Drives ``o_weight`` and ``o_frame_last``."""

    def outside(self, m: Module, window: Any, dx: int, result: Signal) -> None:
        """Drive the register ``result``: whether the tap column ``dx`` of a beat lies outside the frame."""

    def connect(self, m: Module, sequencer: Any, window: Any, cycles: int) -> None:
        """Connect the sequencer's ports to the window's, ``cycles`` cycles later."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """The parts of a front that the stages are given.

    Attributes:
        early: the walk over the groups that are read early; None where none are. Else both are a `RowWalk`.
    """

    writer: RowWriter
    walk: Walk
    positions: Positions
    early: RowWalk | None = None
