"""Tap MACs: per input channel, the sums over the taps, two products to a multiplier where the plan packs.

operands, weights -> multipliers -> sum of a chain -> unpack -> sum of the chains
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig, shape_of
from hw.multiplier import cascade, multiply
from hw.packing import Chain, Product
from hw.pipeline import adder_tree, delay, tree_latency


class TapMacs(wiring.Component):
    """``conv_sum[c] = sum_i Wc[c,i] x[c,p+i]`` and ``attn_sum[c] = sum_t Wa[c,t] x[c,p+t]`` of one output lane.

    Both sums of a tap share the operand ``x``. One beat per cycle. Where operands are
    skewed (``config.plan.skew``, see `hw.packing`) an operand and its weights come as many
    cycles after the beat.

    Members:
        i_taps: operands of one beat.
        i_weights: its weights, as `hw.weight_store` keeps them.
        o_conv_sum: the static sums per channel, for each of the lane's output channels.
        o_attn_sum: the attention's sums per channel (only with attention taps).

    Attributes:
        latency: cycles from operands to sums.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self._plan = config.plan
        channels = config.lane_channels
        self._conv = shape_of(config.ranges.conv_sum)
        self._attn = shape_of(config.ranges.attn_sum)
        ports = {
            "i_taps": In(config.lane_taps),
            "i_weights": In(config.lane_weights),
            "o_conv_sum": Out(data.ArrayLayout(self._conv, channels)).array(self._plan.outputs),
        }
        if config.geometry.attn_taps:
            ports["o_attn_sum"] = Out(data.ArrayLayout(self._attn, channels))
        super().__init__(ports)

    @property
    def latency(self) -> int:
        return self._chain_latency(self._plan.longest) + self._plan.packed + self._tree_latency(self._most_chains)

    def _chain_latency(self, products: int) -> int:
        summing = max(0, products - 1) if self._plan.cascaded else self._tree_latency(products)
        return self._config.target.multiply_latency + summing

    def _tree_latency(self, terms: int) -> int:
        return tree_latency(terms, self._config.target.radix(terms))

    @property
    def _most_chains(self) -> int:
        """Chains that one of the sums comes from, at most."""
        chains = self._plan.chains
        return max(sum(c.low is not None for c in chains), sum(c.high is not None for c in chains))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._plan.outputs == 2:
            outputs = [(self.o_conv_sum[0], self._conv), (self.o_conv_sum[1], self._conv)]
        elif self._config.geometry.attn_taps:
            outputs = [(self.o_conv_sum[0], self._conv), (self.o_attn_sum, self._attn)]
        else:
            outputs = [(self.o_conv_sum[0], self._conv)]
        for channel in range(self._config.lane_channels):
            fields: tuple[list[Value], list[Value]] = ([], [])
            for chain in self._plan.chains:
                total = self._sum_chain(m, chain, channel)
                for terms, term in zip(fields, self._unpack(m, chain, total), strict=True):
                    terms += [term] if term is not None else []
            for (output, shape), terms in zip(outputs, fields, strict=False):
                radix = self._config.target.radix(len(terms))
                waits = self._tree_latency(self._most_chains) - tree_latency(len(terms), radix)
                total = adder_tree(m, terms, shape, radix) if terms else Const(0)
                m.d.comb += output[channel].eq(delay(m, total, waits))
        return m

    def _sum_chain(self, m: Module, chain: Chain, channel: int) -> Value:
        """The sum of a chain's words times operands, after the longest chain's latency."""
        target, count = self._config.target, len(chain.products)
        terms = [(self._word(chain, p, channel), self.i_taps[channel][p.offset]) for p in chain.products]
        if self._plan.cascaded:
            total = cascade(m, target, terms, chain.total)
        else:
            products = [multiply(m, target, word, operand) for word, operand in terms]
            total = adder_tree(m, products, chain.total, target.radix(count))
        return delay(m, total, self._chain_latency(self._plan.longest) - self._chain_latency(count))

    def _word(self, chain: Chain, product: Product, channel: int) -> Value:
        """What an operand is multiplied with: one weight, or two of them packed."""
        weights = self.i_weights[channel]
        low = weights[product.low] if product.low is not None else None
        high = weights[product.high] if product.high is not None else None
        if high is None or chain.shift is None:
            only = low if low is not None else high
            assert only is not None
            return only
        field = Const(0, chain.shift) if low is None else _sign_extended(low, chain.shift)
        return Cat(field, high).as_signed()

    def _unpack(self, m: Module, chain: Chain, total: Value) -> tuple[Value | None, Value | None]:
        """``(low, high)`` sums of a chain, in the next cycle if the plan packs at all."""
        cycles = int(self._plan.packed)
        if chain.shift is None:
            only = delay(m, total, cycles)
            return (only, None) if chain.low is not None else (None, only)
        assert chain.high is not None
        low = total[: chain.shift].as_signed()
        high = Signal(shape_of(chain.high), reset_less=True, name="high")
        # A negative low field has borrowed one from the high field.
        m.d.sync += high.eq((total.as_signed() >> chain.shift) + low[-1])
        return delay(m, low, cycles), high


def _sign_extended(value: Value, width: int) -> Value:
    return Cat(value, value[-1].replicate(width - len(value))) if width > len(value) else value[:width]
