"""Operands of one output lane. Some of them drive its sums to their limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hw.plan.shapes import Shapes


@dataclass(frozen=True, kw_only=True)
class Operands:
    """Taps and weights of one channel, and their sums.

    Attributes:
        taps: elements at ``geometry.offsets``.
        conv, attn: weights of ``geometry.conv_taps`` and ``geometry.attn_taps``.
        conv_sum, attn_sum: sums of the products of these weights and taps.
        centre: the element at ``(0, 0)``.
    """

    taps: list[int]
    conv: list[int]
    attn: list[int]
    conv_sum: int
    attn_sum: int
    centre: int


def channel_operands(shapes: Shapes, rng: np.random.Generator, random: int) -> Iterator[list[Operands]]:
    """For every output channel and every stimulus, the operands of each input channel that it sees.

    The stimuli are:

    - all elements alike, at either limit;
    - each sum at its highest and at its lowest;
    - both sums combined at their highest and at their lowest, with the centre at either limit;
    - ``random`` random ones.
    """
    layer, c, g = shapes.layer, shapes.layer.config, shapes.geometry
    low, high = c.in_range.low, c.in_range.high
    positions = {offset: index for index, offset in enumerate(g.offsets)}
    conv_at = [positions[c.kernel_offsets[i]] for i in g.conv_taps]
    attn_at = [positions[c.attn_offsets[t]] for t in g.attn_taps]
    centre = positions[0, 0]

    for o in range(c.out_channels):
        conv = layer.conv_weight[o].reshape(c.fan_in_channels, -1)[:, list(g.conv_taps)]
        attn = layer.attn_weight[o][:, list(g.attn_taps)]
        # The weight of each offset in the two sums, [C/groups, offsets].
        static = np.zeros((c.fan_in_channels, len(g.offsets)), int)
        dynamic = np.zeros_like(static)
        static[:, conv_at], dynamic[:, attn_at] = conv, attn

        stimuli = [np.full_like(static, low), np.full_like(static, high)]
        for wanted in (static, dynamic, -static, -dynamic):
            stimuli.append(np.where(wanted > 0, high, low))
        for sign in (1, -1):
            for x0 in (low, high):
                slope = sign * (2**c.attn_shift * static + x0 * dynamic)
                taps = np.where(slope > 0, high, low)
                taps[:, centre] = x0
                stimuli.append(taps)
        stimuli += list(rng.integers(low, high, (random, *static.shape), endpoint=True))

        for taps in stimuli:
            yield [
                Operands(
                    taps=taps[channel].tolist(),
                    conv=conv[channel].tolist(),
                    attn=attn[channel].tolist(),
                    conv_sum=int(taps[channel] @ static[channel]),
                    attn_sum=int(taps[channel] @ dynamic[channel]),
                    centre=int(taps[channel, centre]),
                )
                for channel in range(c.fan_in_channels)
            ]


def lane_beats(shapes: Shapes, rng: np.random.Generator, random: int) -> Iterator[list[Operands]]:
    """The operands of `channel_operands` as beats of a lane, of ``lane_channels`` channels each."""
    lanes = shapes.lane_channels
    for channels in channel_operands(shapes, rng, random):
        for first in range(0, len(channels), lanes):
            yield channels[first : first + lanes]


def paired_beats(shapes: Shapes, rng: np.random.Generator, random: int) -> Iterator[list[list[Operands]]]:
    """Operands as beats ``[output][channel]`` of a lane that works on several output channels.

    All output channels have the same taps.
    """
    outputs, lanes = shapes.plan.outputs, shapes.lane_channels
    everything = list(channel_operands(shapes, rng, random))
    stimuli = len(everything) // shapes.layer.config.out_channels
    for first in range(0, len(everything), outputs * stimuli):
        for number in range(stimuli):
            own = everything[first + number]
            together = [
                [_with_taps(shapes, everything[first + n * stimuli][c], own[c]) for c in range(len(own))]
                for n in range(outputs)
            ]
            for start in range(0, len(own), lanes):
                yield [channels[start : start + lanes] for channels in together]


def _with_taps(shapes: Shapes, weights: Operands, taps: Operands) -> Operands:
    """Operands with the weights of ``weights`` and the taps of ``taps``."""
    c, g = shapes.layer.config, shapes.geometry
    positions = {offset: index for index, offset in enumerate(g.offsets)}
    conv_at = [positions[c.kernel_offsets[i]] for i in g.conv_taps]
    attn_at = [positions[c.attn_offsets[t]] for t in g.attn_taps]
    return dataclasses.replace(
        weights,
        taps=taps.taps,
        conv_sum=sum(w * taps.taps[at] for w, at in zip(weights.conv, conv_at, strict=True)),
        attn_sum=sum(w * taps.taps[at] for w, at in zip(weights.attn, attn_at, strict=True)),
        centre=taps.centre,
    )


def lane_word(shapes: Shapes, outputs: list[Operands], channel: int) -> list[int]:
    """The weights of a lane's ``channel`` as the lane gets them.

    Where two weights share a multiplier, the upper one is less by the borrow of the lower one.
    """
    word = [weight for operands in outputs for weight in operands.conv] + list(outputs[0].attn)
    for chain in shapes.plan.chains:
        for product in chain.products:
            if product.channel != channel % shapes.plan.group:
                continue
            if chain.shift is not None and product.low is not None and product.high is not None:
                word[product.high] -= word[product.low] < 0
    return word


def tap_sums(shapes: Shapes, channels: Sequence[Operands]) -> list[int]:
    """For each attention tap, the sum that its similarity weighs: ``sum_c attn_weight[c,t] x[c,p+t]``."""
    c, g = shapes.layer.config, shapes.geometry
    places = [g.offsets.index(c.attn_offsets[t]) for t in g.attn_taps]
    return [sum(o.attn[n] * o.taps[place] for o in channels) for n, place in enumerate(places)]


def in_groups(shapes: Shapes, channels: Sequence[Operands]) -> list[Sequence[Operands]]:
    """A beat's channels in the groups that a lane sums first. Only the ``dynamic`` product has larger ones than 1."""
    size = shapes.plan.group
    return [channels[first : first + size] for first in range(0, len(channels), size)]
