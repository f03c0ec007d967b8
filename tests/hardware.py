"""Components in Amaranth's Python simulator: units to build them from, stimulus, and measured latency."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Elaboratable, Module, Shape, ShapeLike, Value
from amaranth.lib import data
from amaranth.sim import Simulator

from golden.layer import NEIGHBOURS, LayerError
from golden.random_layer import random_layer
from golden.streams import Folding
from hw.config import UnitConfig

Bench = Callable[[Any], Coroutine[Any, Any, None]]

#: Cycles after which a simulation counts as hanging.
PATIENCE = 50_000

#: One unit for each thing that shapes the data flow; 4 -> 4 channels, 5x6 pixels, simd 2, pe 2 where not said.
UNITS: dict[str, dict[str, Any]] = {
    "same": {},
    "valid": {"padding": "valid"},
    "stride_2": {"stride": 2, "height": 6, "width": 8},
    "stride_2_odd": {"stride": 2, "height": 7, "width": 5},
    "stride_2_valid_distance_3": {
        "stride": 2,
        "padding": "valid",
        "height": 7,
        "width": 8,
        "attn_offsets": ((-3, 3), (3, -3), (0, 1)),
    },
    "stride_2_1x1": {"stride": 2, "kernel": 1, "attn_offsets": (), "height": 5, "width": 4},
    "distance_3": {"attn_offsets": tuple((3 * dy, 3 * dx) for dy, dx in NEIGHBOURS), "height": 7, "width": 7},
    "lopsided": {"kernel": 1, "attn_offsets": ((2, -1), (0, 0), (3, 1))},
    "plain_1x1": {"kernel": 1, "attn_offsets": ()},
    "depthwise": {"groups": 4},
    "depthwise_stride_2": {"groups": 4, "stride": 2, "height": 7, "width": 7},
    "sequential": {"simd": 1, "pe": 1, "in_channels": 3, "out_channels": 3, "height": 3, "width": 4},
    "parallel": {"simd": 4, "pe": 4},
    "one_pixel": {"height": 1, "width": 1},
    "one_column": {"height": 5, "width": 1, "kernel": 5},
    "one_column_stride_2": {"height": 5, "width": 1, "stride": 2},
    "one_row": {"height": 1, "width": 6, "kernel": 5},
    "smaller_than_kernel": {"height": 2, "width": 3, "kernel": 7},
    # As many beats come in as are worked on: each frame is completed before the next one starts.
    "flush_always": {"kernel": 5, "stride": 2, "height": 2, "width": 4, "simd": 1, "pe": 1},
}


def unit_config(seed: int = 0, *, simd: int | None = 2, pe: int | None = 2, **fields: Any) -> UnitConfig:
    """A unit with random weights; what ``fields`` leave out makes it small."""
    defaults = {"in_channels": 4, "out_channels": 4, "height": 5, "width": 6}
    layer = random_layer(np.random.default_rng(seed), **(defaults | fields))
    return UnitConfig(layer=layer, folding=Folding.choose(layer.config, simd, pe))


def random_unit(seed: int) -> UnitConfig:
    """A small unit that may have any geometry, folding and number format of the contract."""
    rng = np.random.default_rng(seed)
    while True:
        fields = _random_fields(rng)
        divisors = {n: [d for d in range(1, n + 1) if n % d == 0] for n in range(1, 9)}
        simd = int(rng.choice(divisors[fields["in_channels"]]))
        pe = simd if fields["groups"] > 1 else int(rng.choice(divisors[fields["out_channels"]]))
        try:
            return unit_config(seed, simd=simd, pe=pe, **fields)
        except LayerError:  # a 'valid' frame smaller than its kernel
            continue


def _random_fields(rng: np.random.Generator) -> dict[str, Any]:
    def one_of(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    places = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    channels = int(rng.integers(1, 7))
    depthwise = rng.random() < 0.25
    return {
        "in_channels": channels,
        "out_channels": channels if depthwise else int(rng.integers(1, 7)),
        "groups": channels if depthwise else 1,
        "height": int(rng.integers(1, 10)),
        "width": int(rng.integers(1, 10)),
        "kernel": one_of(1, 3, 3, 5, 7),
        "stride": one_of(1, 2),
        "padding": one_of("same", "valid"),
        "attn_offsets": one_of((), NEIGHBOURS, tuple(places[i] for i in rng.permutation(49)[: rng.integers(1, 6)])),
        "in_bits": int(rng.integers(2, 9)),
        "in_signed": one_of(False, True),
        "weight_bits": int(rng.integers(2, 9)),
        "out_bits": int(rng.integers(2, 17)),
        "out_signed": one_of(False, True),
        "relu": one_of(False, True),
        "attn_shift": int(rng.integers(0, 16)),
    }


def with_arrays(config: UnitConfig, **arrays: np.ndarray) -> UnitConfig:
    """The unit with other weights, biases or multipliers."""
    return UnitConfig(layer=dataclasses.replace(config.layer, **arrays), folding=config.folding)


#: How the signs of weights at the limit of their format are chosen, for an array of their indices' sums.
SIGNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "positive": np.ones_like,
    "negative": lambda index: -np.ones_like(index),
    "alternating": lambda index: 1 - 2 * (index % 2),
}


def at_limits(config: UnitConfig, signs: str) -> UnitConfig:
    """The unit with all weights at the limits of their format."""
    layer = config.layer

    def limits(weight: np.ndarray) -> np.ndarray:
        return layer.config.weight_limit * SIGNS[signs](np.indices(weight.shape).sum(axis=0))

    return with_arrays(config, conv_weight=limits(layer.conv_weight), attn_weight=limits(layer.attn_weight))


def random_frames(rng: np.random.Generator, config: UnitConfig, count: int) -> np.ndarray:
    """Frames ``[N, C, H, W]`` that use the input format fully."""
    c = config.layer.config
    shape = (count, c.in_channels, c.height, c.width)
    return rng.integers(c.in_range.low, c.in_range.high, shape, endpoint=True)


def simulate(design: Elaboratable, *benches: Bench, patience: int = PATIENCE) -> None:
    """Run ``design`` until every bench returns; fail where that takes more than ``patience`` cycles."""
    m = Module()
    m.domains.sync = ClockDomain()  # also where the design has no register
    m.submodules.design = design
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    for _edge in range(2 * patience):
        if not simulator.advance():
            return
    raise AssertionError(f"still running after {patience} cycles")


def put(ctx: Any, port: Any, value: Any) -> None:
    """Set a port to an integer, or a port of arrays to nested lists of integers."""
    ctx.set(Value.cast(port), _pack(value, port.shape()))


def look(ctx: Any, port: Any) -> Any:
    """A port's value as `put` takes it."""
    return _unpack(ctx.get(Value.cast(port)), port.shape())


# Amaranth converts arrays too, but so slowly that it would take most of the tests' time.
def _pack(value: Any, shape: ShapeLike) -> int:
    if not isinstance(shape, data.ArrayLayout):
        return int(value) & ((1 << Shape.cast(shape).width) - 1)
    assert len(value) == shape.length
    width = Shape.cast(shape.elem_shape).width
    return sum(_pack(element, shape.elem_shape) << index * width for index, element in enumerate(value))


def _unpack(bits: int, shape: ShapeLike) -> Any:
    if not isinstance(shape, data.ArrayLayout):
        width, signed = Shape.cast(shape).width, Shape.cast(shape).signed
        bits &= (1 << width) - 1
        return bits - (1 << width) if signed and bits >> (width - 1) else bits
    width = Shape.cast(shape.elem_shape).width
    return [_unpack(bits >> index * width, shape.elem_shape) for index in range(shape.length)]


def stream_through(
    component: Any, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Any], *, drain: int = 12
) -> list[list[Any]]:
    """Apply one mapping of port values per cycle and record the ports ``outputs`` in every cycle.

    Entry ``t`` of a record is what the port shows while input ``t`` is applied; the last
    input stays for ``drain`` cycles more.
    """
    records: list[list[Any]] = [[] for _ in outputs]

    async def bench(ctx: Any) -> None:
        for values in [*inputs, *[inputs[-1]] * drain]:
            for name, value in values.items():
                put(ctx, getattr(component, name), value)
            for record, port in zip(records, outputs, strict=True):
                record.append(look(ctx, port))
            await ctx.tick()

    simulate(component, bench)
    return records


def measured_latency(record: Sequence[Any], expected: Sequence[Any]) -> int:
    """The delay at which ``record`` shows ``expected``, whose entries must not all be alike."""
    assert any(value != expected[0] for value in expected), "a constant has no latency"
    for cycles in range(len(record) - len(expected) + 1):
        if list(record[cycles : cycles + len(expected)]) == list(expected):
            return cycles
    raise AssertionError(f"{expected[:4]} ... never comes, the output is {record[:16]} ...")
