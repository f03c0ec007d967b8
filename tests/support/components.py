"""Components in Amaranth's Python simulator. Ports have plain integers; latencies are measured."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from amaranth.hdl import ClockDomain, Elaboratable, Module, Shape, ShapeLike, Signal, Value
from amaranth.lib import data
from amaranth.sim import Simulator

Bench = Callable[[Any], Coroutine[Any, Any, None]]

#: Cycles after which a simulation counts as hanging.
PATIENCE = 50_000


def simulate(
    design: Elaboratable, *benches: Bench, patience: int = PATIENCE, domains: Sequence[str] = ("sync",)
) -> None:
    """Run ``design`` until every bench returns. Fails if that takes more than ``patience`` cycles.

    Args:
        domains: clock domains of the design. All have the same clock.
    """
    m = Module()
    m.domains += [ClockDomain(name) for name in domains]  # a design without registers has none of its own
    m.submodules.design = design
    simulator = Simulator(m)
    for name in domains:
        simulator.add_clock(1e-6, domain=name)
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
    """Apply one mapping of port values per cycle, and record the ports ``outputs`` in every cycle.

    Entry ``t`` of a record is what the port shows while input ``t`` is applied. The last input stays for
    ``drain`` cycles more.
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
    """The delay in cycles at which ``record`` shows ``expected``. The expected values must not all be alike."""
    assert any(value != expected[0] for value in expected), "a constant has no latency"
    for cycles in range(len(record) - len(expected) + 1):
        if list(record[cycles : cycles + len(expected)]) == list(expected):
            return cycles
    raise AssertionError(f"{expected[:4]} ... never comes, the output is {record[:16]} ...")


def show(m: Module, inputs: Sequence[Signal], result: Value, values: list[list[int]], drain: int) -> list[int]:
    """The value of ``result`` in each cycle, while the rows of ``values`` are applied to ``inputs``, one a cycle.

    The last row stays for ``drain`` cycles more.
    """
    shown: list[int] = []

    async def bench(ctx: Any) -> None:
        for row in [*values, *[values[-1]] * drain]:
            for signal, value in zip(inputs, row, strict=True):
                ctx.set(signal, value)
            shown.append(ctx.get(result))
            await ctx.tick()

    simulate(m, bench)
    return shown
