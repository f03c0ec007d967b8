"""Weight store: the frozen weights, biases and multipliers, one word per beat or output."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Const, Module, Shape, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from golden.streams import Payload
from hw.config import UnitConfig
from hw.pipeline import index_shape


class WeightStore(wiring.Component):
    """Read-only words that each output lane needs with a beat.

    A single word is a constant; several become a memory with a registered output.

    Members:
        i_address: word to read.
        o_words: for each of the ``pe`` output lanes its part of the word, ``latency`` cycles later.
    """

    latency = 2

    def __init__(self, words: np.ndarray, element: Shape, *, name: str) -> None:
        """``words`` are integers ``[depth, pe, elements]`` that fit ``element``; ``name`` names the memories."""
        self._name = name
        depth, pe, elements = words.shape
        self._images = Payload(lanes=elements, bits=element.width, signed=element.signed).pack(words)
        self._word = data.ArrayLayout(element, elements)
        super().__init__({"i_address": In(index_shape(depth)), "o_words": Out(self._word).array(pe)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, pe, _ = self._images.shape
        for lane in range(pe):
            image = [int.from_bytes(word, "little") for word in self._images[:, lane]]
            if depth == 1:
                m.d.comb += self.o_words[lane].eq(Const(image[0], self._word.size))
                continue
            store = memory.Memory(shape=unsigned(self._word.size), depth=depth, init=image)
            m.submodules[f"{self._name}_{lane}"] = store
            read = store.read_port()
            register = Signal(self._word, reset_less=True, name=f"word_{lane}")
            m.d.comb += [read.addr.eq(self.i_address), read.en.eq(1), self.o_words[lane].eq(register)]
            m.d.sync += register.eq(read.data)
        return m


def weight_words(config: UnitConfig) -> np.ndarray:
    """Weights in the order a step's beats use them: ``[weight_depth, pe, lane_channels * taps]``."""
    g, layer = config.geometry, config.layer
    conv = layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1)[..., list(g.conv_taps)]
    weights = np.concatenate([conv, layer.attn_weight[..., list(g.attn_taps)]], axis=-1)
    if layer.config.depthwise:
        return weights.reshape(config.weight_depth, config.folding.pe, -1)
    folded = weights.reshape(g.output_beats, config.folding.pe, g.channel_beats, config.folding.simd, -1)
    return folded.transpose(0, 2, 1, 3, 4).reshape(config.weight_depth, config.folding.pe, -1)


def constant_words(config: UnitConfig, values: np.ndarray) -> np.ndarray:
    """One value per output channel as ``[constant_depth, pe, 1]``."""
    return values.reshape(config.constant_depth, config.folding.pe, 1)
