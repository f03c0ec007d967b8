"""Geometry: what follows from a layer's shape, against brute force over all outputs and taps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from golden.contract.layer_config import LayerConfig
from hw.plan.geometry import Geometry
from tests.support.schedule import schedule
from tests.support.tiers import FEW, MANY, thorough_from
from tests.support.units import UNITS, random_unit, unit_shapes

GEOMETRIES = {name: unit_shapes(**fields).geometry for name, fields in UNITS.items()}
GEOMETRIES |= {f"seed_{seed}": random_unit(seed).geometry for seed in range(100)}


@pytest.fixture(params=[*UNITS, *thorough_from([name for name in GEOMETRIES if name not in UNITS], FEW, MANY)])
def geometry(request: pytest.FixtureRequest) -> Geometry:
    return GEOMETRIES[request.param]


def centres(size: int, c: LayerConfig) -> list[int]:
    """Positions along one axis that a kernel is centred on: every ``stride``, inside the padded frame."""
    pad = c.kernel // 2 if c.padding == "same" else 0
    return [start - pad + c.kernel // 2 for start in range(0, size + 2 * pad - c.kernel + 1, c.stride)]


def taps_inside(c: LayerConfig, offset: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Output positions whose tap at ``offset`` lies inside the frame."""
    rows, columns = centres(c.height, c), centres(c.width, c)
    for (q, y), (n, x) in itertools.product(enumerate(rows), enumerate(columns)):
        if 0 <= y + offset[0] < c.height and 0 <= x + offset[1] < c.width:
            yield q, n


def test_outputs(geometry: Geometry) -> None:
    c = geometry.config
    rows, columns = centres(c.height, c), centres(c.width, c)
    assert (c.out_height, c.out_width) == (len(rows), len(columns))
    assert [geometry.centre_row(q) for q in range(c.out_height)] == rows


def test_taps_that_no_output_reaches_are_left_out(geometry: Geometry) -> None:
    c = geometry.config
    half = c.kernel // 2
    kernel = list(itertools.product(range(-half, half + 1), repeat=2))
    conv = [i for i, offset in enumerate(kernel) if any(taps_inside(c, offset))]
    attn = [t for t, offset in enumerate(c.attn_offsets) if any(taps_inside(c, offset))]
    assert list(geometry.conv_taps) == conv
    assert list(geometry.attn_taps) == attn
    offsets = {kernel[i] for i in conv} | {c.attn_offsets[t] for t in attn}
    assert list(geometry.offsets) == sorted(offsets)
    assert (0, 0) in offsets


def test_extents(geometry: Geometry) -> None:
    rows = {dy for dy, _ in geometry.offsets}
    assert list(geometry.rows) == sorted(rows)
    assert geometry.up == max(-dy for dy in rows)
    assert geometry.down == max(rows)
    assert geometry.right == max(dx for _, dx in geometry.offsets)


def test_beats(geometry: Geometry) -> None:
    c, folding = geometry.config, geometry.folding
    assert geometry.channel_beats * folding.simd == c.in_channels
    assert c.groups > 1 or geometry.output_beats * folding.pe == c.out_channels
    assert c.groups == 1 or geometry.output_beats == 1


def test_groups_cover_a_row(geometry: Geometry) -> None:
    c = geometry.config
    groups = [list(range(c.width))[first : first + c.stride] for first in range(0, c.width, c.stride)]
    assert geometry.groups == len(groups)
    assert geometry.last_column_of_first_group == groups[0][-1]
    assert geometry.last_group_columns == len(groups[-1])


def test_lead_is_the_last_group_that_an_output_looks_at(geometry: Geometry) -> None:
    c = geometry.config
    for n, x in enumerate(centres(c.width, c)):
        assert (x + geometry.right) // c.stride == n + geometry.lead


def test_cells_hold_the_tap_columns(geometry: Geometry) -> None:
    """With group ``n + lead`` newest, the cell of ``dx`` is column ``x + dx``, and no segment is there in vain."""
    c = geometry.config
    for dy in geometry.rows:
        used = set()
        for dx in (dx for row, dx in geometry.offsets if row == dy):
            segment, column = geometry.cell(dx)
            assert 0 <= column < c.stride
            used.add(segment)
            for n, x in enumerate(centres(c.width, c)):
                assert c.stride * (n + geometry.lead - segment) + column == x + dx
        assert min(used) >= 0
        assert geometry.segments(dy) == max(used) + 1


def test_bottom_row_is_the_last_one_that_an_output_row_looks_at(geometry: Geometry) -> None:
    c = geometry.config
    for q in range(c.out_height):
        below = [geometry.centre_row(q) + dy for dy in geometry.rows]
        assert geometry.bottom_row(q) == min(max(below), c.height - 1)


def test_ideal_cycles(geometry: Geometry) -> None:
    c, folding = geometry.config, geometry.folding
    outputs = len(centres(c.height, c)) * len(centres(c.width, c))
    passes = 1 if c.groups > 1 else c.out_channels // folding.pe
    compute = outputs * (c.in_channels // folding.simd) * passes
    assert geometry.ideal_frame_cycles == max(compute, c.height * c.width * c.in_channels // folding.simd)


@pytest.mark.parametrize(
    ("fields", "cycles"),
    [
        ({"simd": 16, "pe": 16}, 1024),
        ({"simd": 16, "pe": 1}, 16384),
        ({"simd": 1, "pe": 1}, 262144),
        ({"simd": 16, "pe": 16, "stride": 2}, 1024),  # the input's beats are more than the outputs' steps
        ({"simd": 8, "pe": 8, "groups": 16}, 2048),
        ({"simd": 8, "pe": 4, "padding": "valid"}, 7200),
    ],
)
def test_ideal_cycles_by_hand(fields: dict[str, int], cycles: int) -> None:
    shapes = unit_shapes(**{"in_channels": 16, "out_channels": 16, "height": 32, "width": 32, **fields})
    assert shapes.geometry.ideal_frame_cycles == cycles


def test_step_cycles_are_the_beats_of_a_frame(geometry: Geometry) -> None:
    """Counted off the schedule, each frame's first group taking the place of an empty one."""
    beats = {}
    for frames in (1, 3):
        steps = schedule(geometry, frames)
        options, beats[frames] = next(steps), 1
        while True:
            try:
                options = steps.send(options[0])
            except StopIteration:
                break
            beats[frames] += 1
    assert beats[3] - beats[1] == 2 * geometry.step_frame_cycles
