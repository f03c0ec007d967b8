"""Weight layout: how weights and constants lie in a unit's memories, and in the image that loads them.

The words of a step's beats are cut into *lanes*, one for each output channel or pair of them. A lane's
word is cut into *banks*, each of which is a memory. The elements of a bank are wanted at the same
time. The weight image is all weights as 32-bit beats:

    for each lane, for each bank of the lane:
        for each word address:
            ceil(width / 32) beats, least significant first, the last one padded with zeros

The image depends on the unit, not only on the layer: on the unit's folding and target, and on which
weights share a multiplier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.contract.streams import Payload
from hw.plan.sizes import Sizes

BEAT_BITS = 32


def weight_words(sizes: Sizes) -> np.ndarray:
    """Weights in the order a step's beats use them: ``[weight_depth, lanes, lane_channels * channel_weights]``.

    Of two weights that are packed, the upper one is kept less what the lower one borrows (`hw.plan.packing`).
    """
    g, layer, plan = sizes.geometry, sizes.layer, sizes.plan
    conv = layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1)[..., list(g.conv_taps)]
    outputs, channels = conv.shape[0] // plan.outputs, conv.shape[1]
    paired = conv.reshape(outputs, plan.outputs, channels, -1).transpose(0, 2, 1, 3).reshape(outputs, channels, -1)
    attn = layer.attn_weight[..., list(g.attn_taps)].reshape(outputs, channels, len(g.attn_taps))
    weights = np.concatenate([paired, attn], axis=-1)
    for channel, low, high in _packed(sizes):
        own = weights[:, channel :: plan.group]
        own[..., high] -= own[..., low] < 0
    if layer.config.depthwise:
        return weights.reshape(sizes.weight_depth, sizes.lanes, -1)
    folded = weights.reshape(g.output_beats, sizes.lanes, g.channel_beats, sizes.folding.simd, -1)
    return folded.transpose(0, 2, 1, 3, 4).reshape(sizes.weight_depth, sizes.lanes, -1)


def _packed(sizes: Sizes) -> Iterator[tuple[int, int, int]]:
    """``(channel of a group, low element, high element)`` of weights that share a multiplier."""
    for chain in sizes.plan.chains:
        for product in chain.products:
            if chain.shift is not None and product.low is not None and product.high is not None:
                yield product.channel, product.low, product.high


def weight_skew(sizes: Sizes) -> list[int]:
    """For each element of a lane's weight word, cycles that its operand comes after the first."""
    plan, elements = sizes.plan, sizes.channel_elements
    skew = [0] * (plan.group * elements)
    for chain in plan.chains:
        for product in chain.products:
            for element in (product.low, product.high):
                if element is not None:
                    cycles = plan.skew[product.offset] + plan.channel_skew[product.channel]
                    skew[product.channel * elements + element] = cycles
    return skew * sizes.lane_groups


def constant_words(sizes: Sizes, values: np.ndarray) -> np.ndarray:
    """One value per output channel as ``[constant_depth, pe, 1]``."""
    return values.reshape(sizes.constant_depth, sizes.folding.pe, 1)


def multiplier_words(sizes: Sizes) -> np.ndarray:
    """What is read of the multipliers, one value per output channel and turn: ``[constant_depth * turns, pe, 1]``."""
    if sizes.scale is None:
        return constant_words(sizes, sizes.layer.multiplier)
    words = sizes.scale.words.reshape(sizes.constant_depth, sizes.folding.pe, -1)
    return words.transpose(0, 2, 1).reshape(-1, sizes.folding.pe, 1)


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A bit of an element that a bank holds beside its members, and how many cycles after them it is wanted."""

    element: int
    bit: int
    wait: int


@dataclass(frozen=True, kw_only=True)
class LaneBank:
    """A memory of a lane.

    Attributes:
        members: the elements of the lane's word that it holds, in order.
        skew: cycles that they come later than the word's first.
        guests: bits of elements that no bank has as members, in order.
    """

    members: tuple[int, ...]
    skew: int
    guests: tuple[Guest, ...] = ()


def lane_banks(elements: int, skew: Sequence[int], parts: int) -> list[LaneBank]:
    """The memories of a lane, those with less skew first."""
    found = memory_elements(elements, skew, parts)
    return [LaneBank(members=tuple(members), skew=cycles) for (cycles, _), members in found.items()]


def memory_elements(elements: int, skew: Sequence[int], parts: int) -> dict[tuple[int, int], list[int]]:
    """The elements that each memory of a lane holds, by ``(skew, part)``, which the elements of a memory share."""
    places = [(skew[e] if skew else 0, e * parts // elements) for e in range(elements)]
    return {place: [e for e in range(elements) if places[e] == place] for place in sorted(set(places))}


def bank_members(sizes: Sizes) -> list[list[int]]:
    """For each memory of a lane, which elements of the lane's weight word it holds, in order."""
    skew = weight_skew(sizes)
    return list(memory_elements(len(skew), skew, sizes.weight_parts).values())


def weight_banks(sizes: Sizes) -> list[int]:
    """Width in bits of each weight memory of the unit, in the order of the image. All have ``weight_depth`` words."""
    return [len(members) * sizes.layer.config.weight_bits for members in bank_members(sizes)] * sizes.lanes


def beats_of_word(width: int) -> int:
    """Beats that a word of ``width`` bits takes."""
    return -(-width // BEAT_BITS)


def image_beats(sizes: Sizes) -> int:
    """Beats of a whole image."""
    return sizes.weight_depth * sum(map(beats_of_word, weight_banks(sizes)))


def weight_image(sizes: Sizes) -> np.ndarray:
    """The image of the layer for the unit: uint32 ``[image_beats]``."""
    words = weight_words(sizes)
    parts = []
    for lane in range(sizes.lanes):
        for members in bank_members(sizes):
            payload = Payload(lanes=len(members), bits=sizes.layer.config.weight_bits, signed=True)
            packed = payload.pack(words[:, lane, members])
            room = beats_of_word(payload.lanes * payload.bits) * BEAT_BITS // 8 - payload.bytes
            parts.append(np.pad(packed, ((0, 0), (0, room))).reshape(-1))
    return np.concatenate(parts).view("<u4").astype(np.uint32)


def image_layout(sizes: Sizes) -> dict[str, Any]:
    """How to read and write images of the unit without this program, as JSON values.

    `docs/reloadable.md` says what each entry means.
    """
    c, g, plan = sizes.layer.config, sizes.geometry, sizes.plan
    conv = [
        {"branch": "conv", "output": output, "offset": list(c.kernel_offsets[i])}
        for output in range(plan.outputs)
        for i in g.conv_taps
    ]
    attn = [{"branch": "attn", "output": 0, "offset": list(c.attn_offsets[t])} for t in g.attn_taps]
    groups = range(0, sizes.lane_channels, plan.group)
    borrows = [
        [(group + channel) * sizes.channel_elements + element for element in (high, low)]
        for group in groups
        for channel, low, high in _packed(sizes)
    ]
    return {
        "beats": image_beats(sizes),
        "lanes": sizes.lanes,
        "lane_outputs": plan.outputs,
        "lane_channels": sizes.lane_channels,
        "words": sizes.weight_depth,
        "element_bits": c.weight_bits,
        "channel_elements": conv + attn,
        "banks": bank_members(sizes),
        "borrows": borrows,
    }
