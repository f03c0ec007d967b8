"""A board without a unit behind it, and layers that fit a reloadable unit or do not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_config import NEIGHBOURS
from golden.contract.streams import from_beats, to_beats
from golden.layers.random_layer import random_layer
from golden.model import integer
from hw.control.registers import register_table
from hw.plan.shapes import Shapes


class Frames:
    """The streams of a board, with the integer model of ``layer`` between them."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self.layer = shapes.layer
        self._outputs: list[np.ndarray] = []

    async def send_frame(self, beats: np.ndarray) -> None:
        c, payload = self.layer.config, self._shapes.input_payload
        assert beats.dtype == np.uint8 and beats.shape[1] == payload.bytes
        frame = from_beats(payload.unpack(beats), c.in_channels, c.height, c.width)
        out = self._shapes.output_payload
        self._outputs.append(out.pack(to_beats(integer.run(self.layer, frame), out.lanes)))

    async def receive_frame(self, beats: int) -> np.ndarray:
        return self._outputs.pop(0)


class WordBoard(Frames):
    """Registers that are plain words: what is written is recorded; weights are loaded at once.

    Attributes:
        writes: ``(address, value)`` of all.
    """

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.table = register_table(shapes)
        self.words = {r.address: r.reset for r in self.table.registers if r.access.readable}
        self.set_status("free", "idle")
        self.writes: list[tuple[int, int]] = []

    def set_status(self, *flags: str) -> None:
        status = self.table["status"]
        self.words[status.address] = status.pack(dict.fromkeys(flags, 1))

    async def read(self, address: int) -> int:
        return self.words[address]

    async def write(self, address: int, value: int) -> None:
        assert 0 <= value < 2**32
        self.writes.append((address, value))
        if address in self.words:
            self.words[address] = value

    async def send_weights(self, beats: np.ndarray) -> None:
        self.set_status("free", "idle", "loaded")


def other_layer(shapes: Shapes, seed: int = 1, **fields: Any) -> Layer:
    """Other weights for a unit; ``fields`` of its shapes changed."""
    c = dataclasses.asdict(shapes.layer.config)
    return random_layer(np.random.default_rng(seed), **(c | fields))


#: Fields of `reloadable` for the unit, fields of `other_layer` for the layer, and how the refusal begins.
MISFITS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "in_channels": ({}, {"in_channels": 8}, "in_channels 8 .* built for 4"),
    "out_channels": ({}, {"out_channels": 2}, "out_channels 2 .* built for 4"),
    "kernel": ({}, {"kernel": 5}, "kernel 5 .* built for 3"),
    "stride": ({}, {"stride": 2}, "stride 2 .* built for 1"),
    "padding": ({}, {"padding": "valid"}, "padding 'valid' .* built for 'same'"),
    "groups": ({}, {"groups": 4}, "groups 4 .* built for 1"),
    "in_bits": ({}, {"in_bits": 7}, "in_bits 7 .* built for 8"),
    "in_signed": ({}, {"in_signed": True}, "in_signed True .* built for False"),
    "out_bits": ({}, {"out_bits": 9}, "out_bits 9 .* built for 8"),
    "out_signed": ({}, {"out_signed": True}, "out_signed True .* built for False"),
    "rounding": ({}, {"rounding": "floor"}, "rounding 'floor' .* built for 'half_even'"),
    "rounding_usual": (
        {"rounding": "half_up"},
        {"rounding": "half_even"},
        "rounding 'half_even' .* built for 'half_up'",
    ),
    "weight_bits": ({"weight_bits": 4}, {"weight_bits": 5}, "weight_bits 5 .* allowed are 2 to 4"),
    "product": (
        {},
        {"product": "dynamic", "heads": 1, "sim_bits": 4, "sim_shift": 1},
        "product 'dynamic' .* 'hadamard'",
    ),
    "heads": ({"product": "dynamic", "heads": 2}, {"heads": 4}, "heads 4 .* built for 2"),
    "sim_bits": ({"product": "dynamic", "heads": 2}, {"sim_bits": 7}, "sim_bits 7 .* built for 8"),
    "sim_shift": ({"product": "dynamic", "heads": 2, "sim_shift": 7}, {"sim_shift": 6}, "sim_shift 6 .* built for 7"),
    "height": ({}, {"height": 6}, "height 6 .* allowed are 1 to 5"),
    "width": ({"padding": "valid"}, {"width": 7}, "width 7 .* allowed are 3 to 6"),
    "attn_shift": ({}, {"attn_shift": 7}, "attn_shift 7 .* allowed are 1 to 6"),
    "attn_shift_least": ({}, {"attn_shift": 0}, "attn_shift 0 .* allowed are 1 to 6"),
    "out_shift": ({}, {"out_shift": 47}, "out_shift 47 .* allowed are"),
    "attn_offsets": ({}, {"attn_offsets": NEIGHBOURS[1:]}, "attn_offsets .* built for"),
    "plain": ({}, {"attn_offsets": ()}, "attn_offsets .* built for"),
}
