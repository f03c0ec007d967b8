"""The order in which a unit works, beat by beat. Sequencer, window and cycle model are compared with it.

The column groups of a row enter the window one after the other, row after row. An output is worked on when the
group ``lead`` groups after its own enters. That takes the ``channel_beats`` beats of the group, and as many for
each of the output's further ``output_beats - 1`` groups of channels. Between frames, *empty* groups may enter
before the next frame's first group.

A unit may read the first groups of each row *early*, while other beats use the window again. Then they are not
among these beats, and each of the other groups begins the output that it completes.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from hw.plan.geometry import Geometry

#: A place: frame, row, and column or column group.
Place = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One beat of the pipeline.

    Attributes:
        channel: its channel beat.
        push: whether it moves a column group into the window.
        group: frame, output row and number of the column group that it moves. None for an empty group, and for
            a beat that moves none.
        output: the output position that it works on; None without one.
        output_beat: the group of output channels that it works on.
    """

    channel: int
    push: bool
    group: Place | None
    output: Place | None
    output_beat: int


def schedule(geometry: Geometry, frames: int, early: int = 0) -> Generator[tuple[Beat, ...], Beat, None]:
    """The beats of ``frames`` frames, and of the empty groups that complete the last frame.

    The generator yields the beats that may come next: one beat, or the first beat of the next frame and that of
    an empty group. It must be sent the beat that came. The first ``early`` groups of each row are left out.
    """
    g, c = geometry, geometry.config
    waiting: list[Place | None] = [None] * (g.lead - early)

    def begins(group: Place | None) -> Place | None:
        if group is None or group[2] - early >= c.out_width:
            return None
        return (*group[:2], group[2] - early)

    def first(group: Place | None) -> Beat:
        output = [*waiting, begins(group)][0]
        return Beat(channel=0, push=True, group=group, output=output, output_beat=0)

    def rest(chosen: Beat) -> Generator[tuple[Beat, ...], Beat, None]:
        waiting.append(begins(chosen.group))
        assert waiting.pop(0) == chosen.output
        for output_beat in range(g.output_beats if chosen.output else 1):
            for channel in range(g.channel_beats):
                if (output_beat, channel) != (0, 0):
                    push = output_beat == 0
                    group = chosen.group if push else None
                    beat = Beat(channel=channel, push=push, group=group, output=chosen.output, output_beat=output_beat)
                    yield (beat,)

    for place in itertools.product(range(frames), range(c.out_height), range(early, g.groups)):
        while True:
            optional = place[1:] == (0, early) and any(waiting)
            chosen = yield (first(place), first(None)) if optional else (first(place),)
            yield from rest(chosen)
            if chosen.group is not None:
                break
    while any(waiting):
        chosen = yield (first(None),)
        yield from rest(chosen)


def early_beats(geometry: Geometry, frames: int, early: int) -> Iterator[Beat]:
    """The beats of the groups that are left out of `schedule`."""
    rows = itertools.product(range(frames), range(geometry.config.out_height), range(early))
    for place, channel in itertools.product(rows, range(geometry.channel_beats)):
        yield Beat(channel=channel, push=False, group=place, output=None, output_beat=0)


def beats_needed(geometry: Geometry, beat: Beat) -> int:
    """Number of input beats, from the first of the first frame, that must be in the row store for ``beat``."""
    g, c = geometry, geometry.config
    if beat.group is None:
        return 0
    frame, q, group = beat.group
    row = frame * c.height + g.bottom_row(q)
    column = min((group + 1) * c.stride, c.width) - 1
    return (row * c.width + column) * g.channel_beats + beat.channel + 1


def beats_released(geometry: Geometry, beat: Beat, early: int = 0) -> int | None:
    """Number of input beats that no beat after ``beat`` needs. None if these are not more than before.

    The last beat of a column group releases its columns in the topmost window row. The last beat of a row
    releases the rows that no later output row needs. The columns of ``early`` groups are
    released with these. Rows above the first frame count, too, so that the number may be negative.
    """
    g, c = geometry, geometry.config
    if beat.group is None or beat.channel != g.channel_beats - 1:
        return None
    frame, q, group = beat.group
    if group < g.groups - 1:
        top, columns = frame * c.height + g.centre_row(q) - g.up, (group - early + 1) * c.stride
    elif q < c.out_height - 1:
        top, columns = frame * c.height + g.centre_row(q + 1) - g.up, 0
    else:
        top, columns = (frame + 1) * c.height + g.centre_row(0) - g.up, 0
    return (top * c.width + columns) * g.channel_beats


def ends_sum(geometry: Geometry, beat: Beat) -> bool:
    """Whether ``beat`` completes an output beat."""
    last = geometry.config.depthwise or beat.channel == geometry.channel_beats - 1
    return beat.output is not None and last
