"""Tap MACs: per input channel, the sums over the taps, two products to a multiplier where the plan packs.

operands, weights -> multipliers -> sum of a chain -> unpack -> sum of the chains
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Shape, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.dot_product import dot_product
from hw.blocks.latency import tree_latency
from hw.blocks.packed import join, split
from hw.blocks.pipeline import adder_tree, delay
from hw.plan.packing import Chain, Product
from hw.plan.shapes import Shapes, shape_of


class TapMacs(wiring.Component):
    """``conv_sum[c] = sum_i Wc[c,i] x[c,p+i]`` and ``attn_sum[c] = sum_t Wa[c,t] x[c,p+t]`` of one output lane.

    With the ``dynamic`` product a group of channels takes the place of a channel
    (`hw.plan.heads`), and each attention tap has a sum of its own,
    ``attn_sum[group,t] = sum_c Wa[c,t] x[c,p+t]``.

    Both sums of a tap share the operand ``x``. The stage takes one beat per cycle. Where
    ``shapes.plan`` skews an operand (`hw.plan.packing`), the operand and its weights come as many
    cycles after the beat.

    Members:
        i_taps: operands of one beat.
        i_weights: weights of the beat, a lane's part of a word of `hw.unit.word_store`.
        o_conv_sum: the static sums per channel or group, for each of the lane's output channels.
        o_attn_sum: the attention's sums per channel or group (only with attention taps).

    The attention's sums come `latency` cycles after the operands, the static ones `conv_latency`.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._plan = shapes.plan
        groups = shapes.lane_groups
        if shapes.heads is None:
            self._conv, self._attn = shape_of(shapes.ranges.conv_sum), shape_of(shapes.ranges.attn_sum)
            sums = data.ArrayLayout(self._attn, groups)
        else:
            self._conv, self._attn = shape_of(shapes.group_ranges.conv), shape_of(shapes.group_ranges.attn)
            sums = shapes.group_sums
        ports = {
            "i_taps": In(shapes.lane_taps),
            "i_weights": In(shapes.lane_weights),
            "o_conv_sum": Out(data.ArrayLayout(self._conv, groups)).array(self._plan.outputs),
        }
        if shapes.geometry.attn_taps:
            ports["o_attn_sum"] = Out(sums)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        at_conv, at_attn = conv_latency(self._shapes), latency(self._shapes)
        for group in range(self._shapes.lane_groups):
            static: list[Value] = []
            dynamic: dict[int | None, list[Value]] = {chain.tap: [] for chain in self._plan.chains if chain.high}
            for chain in self._plan.chains:
                low, high = self._unpack(m, chain, self._sum_chain(m, chain, group))
                static += [low] if low is not None else []
                if high is not None:
                    dynamic[chain.tap].append(high)
            self._sum_up(m, self.o_conv_sum[0][group], static, self._conv, at_conv)
            if self._plan.outputs == 2:
                self._sum_up(m, self.o_conv_sum[1][group], dynamic.get(None, []), self._conv, at_attn)
            elif self._shapes.heads is not None:
                for tap in range(len(self._shapes.geometry.attn_taps)):
                    self._sum_up(m, self.o_attn_sum[group][tap], dynamic.get(tap, []), self._attn, at_attn)
            elif self._shapes.geometry.attn_taps:
                self._sum_up(m, self.o_attn_sum[group], dynamic.get(None, []), self._attn, at_attn)
        return m

    def _sum_up(self, m: Module, output: Value, terms: list[Value], shape: Shape, cycles: int) -> None:
        """Drive ``output`` with the sum of chains, ``cycles`` cycles after the beat."""
        radix = self._shapes.target.radix(len(terms))
        total = adder_tree(m, terms, shape, radix) if terms else Const(0)
        m.d.comb += output.eq(delay(m, total, cycles - _chains_latency(self._shapes, len(terms))))

    def _sum_chain(self, m: Module, chain: Chain, group: int) -> Value:
        """The sum of a chain's words times operands, when the sums of all chains are there."""
        target, first = self._shapes.target, group * self._plan.group
        terms = [
            (self._word(chain, p, first + p.channel), self.i_taps[first + p.channel][p.offset]) for p in chain.products
        ]
        return dot_product(
            m,
            target,
            terms,
            signed(chain.total_bits),
            cycles=self._plan.latency(target),
            cascaded=self._plan.cascaded,
            limbs=self._plan.limbs,
            in_fabric=self._shapes.products_in_fabric,
        )

    def _word(self, chain: Chain, product: Product, channel: int) -> Value:
        """What an operand is multiplied with: one weight, or two of them packed."""
        weights = self.i_weights[channel]
        low = weights[product.low] if product.low is not None else None
        high = weights[product.high] if product.high is not None else None
        if high is None or chain.shift is None:
            only = low if low is not None else high
            assert only is not None
            return only
        return join(Const(0, 1) if low is None else low, high, chain.shift)

    def _unpack(self, m: Module, chain: Chain, total: Value) -> tuple[Value | None, Value | None]:
        """``(low, high)`` sums of a chain, in the next cycle if any chain of the plan is packed."""
        if chain.shift is None:
            only = delay(m, total, int(self._plan.packed))
            return (only, None) if chain.low is not None else (None, only)
        assert chain.high is not None
        return split(m, total, chain.shift, shape_of(chain.high))


def latency(shapes: Shapes) -> int:
    """Cycles from operands to the attention's sums."""
    static, dynamic = (_chains_latency(shapes, count) for count in _most_chains(shapes))
    return dynamic if shapes.heads is not None else max(static, dynamic)


def conv_latency(shapes: Shapes) -> int:
    """Cycles from operands to the static sums. With ``dynamic`` they may come later than the attention's sums."""
    return latency(shapes) if shapes.heads is None else _chains_latency(shapes, _most_chains(shapes)[0])


def _most_chains(shapes: Shapes) -> tuple[int, int]:
    """Most chains that a sum of low fields comes from, and most that a sum of high fields comes from."""
    chains = shapes.plan.chains
    taps = [chain.tap for chain in chains if chain.high is not None]
    return sum(chain.low is not None for chain in chains), max(map(taps.count, taps), default=0)


def _chains_latency(shapes: Shapes, chains: int) -> int:
    """Cycles from the beat to a sum of ``chains``."""
    plan, target = shapes.plan, shapes.target
    return plan.latency(target) + plan.packed + tree_latency(chains, target.radix(chains))
