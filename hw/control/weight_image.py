"""The weight image: all weights of a layer as the 32-bit beats in which they are loaded.

    for each lane, for each memory of the lane:       (a memory is a *bank*)
        for each word address:
            ceil(width / 32) beats, least significant first, the last one padded with zeros

The image depends on the unit, not only on the layer: on its folding, its target and on which
weights share a multiplier.
"""

from __future__ import annotations

import numpy as np

from golden.contract.streams import Payload
from hw.plan.config import UnitConfig
from hw.unit.weight_store import memory_elements, weight_skew, weight_words

BEAT_BITS = 32


def bank_members(config: UnitConfig) -> list[list[int]]:
    """For each memory of a lane, which elements of the lane's weight word it holds, in order."""
    skew = weight_skew(config)
    return list(memory_elements(len(skew), skew, config.weight_parts).values())


def weight_banks(config: UnitConfig) -> list[int]:
    """Width in bits of each weight memory of the unit, in the order of the image; all have ``weight_depth`` words."""
    return [len(members) * config.weight.width for members in bank_members(config)] * config.lanes


def beats_of_word(width: int) -> int:
    """Beats that a word of that many bits takes."""
    return -(-width // BEAT_BITS)


def image_beats(config: UnitConfig) -> int:
    """Beats of a whole image."""
    return config.weight_depth * sum(map(beats_of_word, weight_banks(config)))


def weight_image(config: UnitConfig) -> np.ndarray:
    """The image of ``config.layer`` for the unit ``config``: uint32 ``[image_beats]``."""
    words = weight_words(config)
    parts = []
    for lane in range(config.lanes):
        for members in bank_members(config):
            payload = Payload(lanes=len(members), bits=config.weight.width, signed=True)
            packed = payload.pack(words[:, lane, members])
            room = beats_of_word(payload.lanes * payload.bits) * BEAT_BITS // 8 - payload.bytes
            parts.append(np.pad(packed, ((0, 0), (0, room))).reshape(-1))
    return np.concatenate(parts).view("<u4").astype(np.uint32)
