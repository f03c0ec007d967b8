"""The order in which a unit works, beat by beat: what sequencer, window and cycle model are held against.

Column groups of a row enter the window one after the other, row after row. An output is
worked on by the group ``lead`` groups after its own, whose ``channel_beats`` beats are
followed by those of the output's further ``output_beats - 1`` groups of channels. Between
frames *empty* groups may enter instead of the next frame's first.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass

from hw.plan.geometry import Geometry

#: Frame, row, column.
Place = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One beat of the pipeline.

    Attributes:
        channel: its channel beat.
        push: whether it moves a column group into the window.
        group: frame, output row and number of that group; None where it is empty.
        output: the output position that it works on, if any.
        output_beat: the group of output channels that it works on.
    """

    channel: int
    push: bool
    group: Place | None
    output: Place | None
    output_beat: int


def schedule(geometry: Geometry, frames: int) -> Generator[tuple[Beat, ...], Beat, None]:
    """Beats of ``frames`` frames and of the empty groups that complete the last one.

    Yields what may come next: one beat, or the next frame's first one and that of an empty
    group. To be sent back the one that came.
    """
    g, c = geometry, geometry.config
    waiting: list[Place | None] = [None] * g.lead

    def first(group: Place | None) -> Beat:
        begun = group if group is not None and group[2] < c.out_width else None
        output = [*waiting, begun][0]
        return Beat(channel=0, push=True, group=group, output=output, output_beat=0)

    def rest(chosen: Beat) -> Generator[tuple[Beat, ...], Beat, None]:
        begun = chosen.group if chosen.group is not None and chosen.group[2] < c.out_width else None
        waiting.append(begun)
        assert waiting.pop(0) == chosen.output
        for output_beat in range(g.output_beats if chosen.output else 1):
            for channel in range(g.channel_beats):
                if (output_beat, channel) != (0, 0):
                    push = output_beat == 0
                    group = chosen.group if push else None
                    beat = Beat(channel=channel, push=push, group=group, output=chosen.output, output_beat=output_beat)
                    yield (beat,)

    for place in itertools.product(range(frames), range(c.out_height), range(g.groups)):
        while True:
            optional = place[1:] == (0, 0) and any(waiting)
            chosen = yield (first(place), first(None)) if optional else (first(place),)
            yield from rest(chosen)
            if chosen.group is not None:
                break
    while any(waiting):
        chosen = yield (first(None),)
        yield from rest(chosen)


def beats_needed(geometry: Geometry, beat: Beat) -> int:
    """Input beats, counted from the first frame's first, that must be in the row store for ``beat``."""
    g, c = geometry, geometry.config
    if beat.group is None:
        return 0
    frame, q, group = beat.group
    row = frame * c.height + g.bottom_row(q)
    column = min((group + 1) * c.stride, c.width) - 1
    return (row * c.width + column) * g.channel_beats + beat.channel + 1


def beats_released(geometry: Geometry, beat: Beat) -> int | None:
    """Input beats that no beat after ``beat`` needs, rows above the first frame counted too (so it may be negative).

    Columns are released in the topmost window row, with their group's last beat; rows that
    no later output row needs, with the last beat of a row. None: nothing more than before.
    """
    g, c = geometry, geometry.config
    if beat.group is None or beat.channel != g.channel_beats - 1:
        return None
    frame, q, group = beat.group
    if group < g.groups - 1:
        top, columns = frame * c.height + g.centre_row(q) - g.up, (group + 1) * c.stride
    elif q < c.out_height - 1:
        top, columns = frame * c.height + g.centre_row(q + 1) - g.up, 0
    else:
        top, columns = (frame + 1) * c.height + g.centre_row(0) - g.up, 0
    return (top * c.width + columns) * g.channel_beats


def ends_sum(geometry: Geometry, beat: Beat) -> bool:
    """Whether ``beat`` completes an output beat."""
    last = geometry.config.depthwise or beat.channel == geometry.channel_beats - 1
    return beat.output is not None and last
