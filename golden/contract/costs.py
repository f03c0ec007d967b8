"""What a layer costs, whatever computes it."""

from __future__ import annotations

from golden.contract.layer_config import LayerConfig


def useful_macs(config: LayerConfig) -> int:
    """Multiply-accumulates of one frame of a layer, whatever unit computes them.

    For each output element and input channel of its group there is one for each tap of the kernel and
    one for each attention offset. The attention has more. ``hadamard`` multiplies the sum over the
    taps with the centre: one for each output element and input channel. ``dynamic`` makes a similarity
    for each offset: one for each input channel of a position. The similarity multiplies the sum over
    each head of each output element: one for each head. Taps that padding makes zero count, as they do
    in everybody's figures. Requantisation does not count.
    """
    taps, positions = len(config.attn_offsets), config.out_height * config.out_width
    total = (config.kernel**2 + taps) * config.fan_in_channels * config.out_channels * positions
    if config.similarity is not None:
        return total + taps * (config.in_channels + config.similarity.heads * config.out_channels) * positions
    return total + (config.fan_in_channels * config.out_channels * positions if taps else 0)
