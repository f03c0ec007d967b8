"""Nodes by name: every kind, and what shapes each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer_config import NEIGHBOURS
from golden.contract.ranges import Range
from golden.layers.random_layer import random_layer
from hw.network.beat import Beat
from hw.network.nodes.argmax import Argmax
from hw.network.nodes.merge import Merge
from hw.network.nodes.reduce import Reduce
from hw.network.nodes.replay import Replay
from hw.network.nodes.rescale import Rescale
from hw.network.nodes.unit import UnitNode
from hw.plan.config import UnitConfig
from hw.plan.flush import Flush
from hw.targets.families import ECP5, GENERIC, XC7, XCUP, Target
from sim.nodes import case
from sim.nodes.case import TOP, NodeCase

BYTE = Beat(lanes=1, bits=8, signed=False)
PAIR = Beat(lanes=2, bits=5, signed=True)


def _rescale(formats: list[tuple[int, bool]], multipliers: tuple[int, ...], shift: int, target: Target) -> NodeCase:
    return case.rescale(
        Rescale(
            inputs=tuple(Beat(lanes=2, bits=bits, signed=signed) for bits, signed in formats),
            output=Beat(lanes=2, bits=8, signed=True),
            multipliers=multipliers,
            shift=shift,
            limits=Range(-128, 127),
            frame_beats=5,
            target=target,
        )
    )


def _reduce(beat: Beat = PAIR, target: Target = GENERIC, **fields: Any) -> NodeCase:
    return case.reduce(Reduce(beat=beat, target=target, **fields))


def _unit(
    flush: Flush, folding: tuple[int, int], *, tap: bool = False, target: Target = GENERIC, **fields: Any
) -> NodeCase:
    layer = random_layer(np.random.default_rng(1), **{"attn_offsets": ()} | fields)
    config = UnitConfig(layer=layer, folding=Folding(simd=folding[0], pe=folding[1]), target=target, name=TOP)
    return case.unit(UnitNode(config=config, flush=flush, tap=tap))


_SMALL: dict[str, Any] = {"in_channels": 2, "out_channels": 2, "height": 3, "width": 4}
NODES: Mapping[str, NodeCase] = {
    "rescale_of_one": _rescale([(12, True)], (4321,), 16, GENERIC),
    "rescale_of_two": _rescale([(8, False), (6, True)], (20000, 65535), 17, GENERIC),
    "rescale_by_shifts": _rescale([(8, True), (7, False)], (4, 1), 3, GENERIC),
    "rescale_ecp5": _rescale([(8, False), (16, True)], (20000, 311), 15, ECP5),
    "rescale_xc7": _rescale([(8, False), (9, True)], (20000, 0), 15, XC7),
    "rescale_xcup": _rescale([(8, True), (9, True)], (12345, 54321), 17, XCUP),
    "reduce_max": _reduce(operation="max", items=6, item_beats=2, kernel=2, stride=2, pad=0),
    "reduce_max_beyond_both_ends": _reduce(operation="max", items=4, item_beats=1, kernel=7, stride=1, pad=3),
    "reduce_sum": _reduce(operation="sum", items=5, item_beats=3, kernel=3, stride=1, pad=0, repeats=2),
    "reduce_sum_of_all": _reduce(BYTE, operation="sum", items=9, item_beats=1, kernel=9, stride=1, pad=0),
    "reduce_that_drops": _reduce(operation="max", items=7, item_beats=1, kernel=1, stride=2, pad=0),
    "reduce_in_memory": _reduce(BYTE, operation="sum", items=4, item_beats=9, kernel=3, stride=1, pad=1),
    "reduce_in_memory_ecp5": _reduce(BYTE, ECP5, operation="max", items=4, item_beats=9, kernel=4, stride=2, pad=2),
    "merge_channels": case.merge(Merge(beat=PAIR, runs=((0, 2), (1, 1), (2, 3)), periods=4)),
    "merge_in_order": case.merge(Merge(beat=PAIR, runs=((0, 5), (1, 2), (2, 2)), periods=1)),
    "replay_twice": case.replay(Replay(beat=PAIR, pixel_beats=2, width=3, height=2, factor=2, depth=6, target=GENERIC)),
    "replay_pixels_of_one_beat": case.replay(
        Replay(beat=BYTE, pixel_beats=1, width=1, height=3, factor=4, depth=2, target=GENERIC)
    ),
    "replay_three_times_ecp5": case.replay(
        Replay(beat=PAIR, pixel_beats=1, width=4, height=2, factor=3, depth=9, target=ECP5)
    ),
    "argmax": case.argmax(Argmax(input=Beat(lanes=3, bits=9, signed=True), elements=12)),
    "argmax_of_ties": case.argmax(Argmax(input=Beat(lanes=5, bits=2, signed=False), elements=5)),
    "fork_to_two": case.fork(PAIR, 2),
    "fork_to_three": case.fork(PAIR, 3),
    "relay": case.relay(PAIR),
    "fifo_of_one": case.fifo(PAIR, 1, GENERIC),
    "fifo_of_two": case.fifo(PAIR, 2, GENERIC),
    "fifo_in_luts": case.fifo(PAIR, 7, ECP5),
    "fifo_in_a_block": case.fifo(Beat(lanes=8, bits=8, signed=False), 300, GENERIC),
    "fifo_in_a_block_ecp5": case.fifo(Beat(lanes=4, bits=9, signed=False), 300, ECP5),
    "adapter_4_to_2": case.width_adapter(Beat(lanes=4, bits=3, signed=True), 2),
    "adapter_2_to_6": case.width_adapter(Beat(lanes=2, bits=3, signed=True), 6),
    "adapter_4_to_6": case.width_adapter(Beat(lanes=4, bits=3, signed=True), 6),
    "adapter_5_to_3": case.width_adapter(Beat(lanes=5, bits=3, signed=True), 3),
    "pacer": case.pacer(PAIR, 7, 11),
    "unit": _unit(Flush(always=False), (1, 1), **_SMALL),
    "unit_that_waits": _unit(Flush(always=False, due=(20,)), (1, 2), **_SMALL),
    "unit_that_always_flushes": _unit(Flush(always=True), (2, 2), **_SMALL, stride=2),
    "unit_depthwise": _unit(Flush(always=False, due=(12, 30)), (1, 1), **_SMALL, groups=2, kernel=5),
    "unit_with_tap": _unit(Flush(always=False), (1, 1), **_SMALL, tap=True),
    "unit_with_tap_used_once": _unit(Flush(always=False, due=(20,)), (1, 2), **_SMALL, tap=True),
    "unit_with_tap_strided": _unit(Flush(always=True), (2, 1), **_SMALL, stride=2, tap=True),
    "unit_with_tap_depthwise": _unit(Flush(always=False), (1, 1), **_SMALL, groups=2, kernel=5, tap=True),
    "unit_with_tap_xcup": _unit(Flush(always=False), (1, 1), **_SMALL, tap=True, target=XCUP),
    "unit_with_tap_ecp5": _unit(Flush(always=True), (1, 1), **_SMALL, attn_offsets=NEIGHBOURS, tap=True, target=ECP5),
}
