"""Small pieces that every pipelined stage uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value, unsigned


def index_shape(count: int) -> Shape:
    """Shape of a number below ``count``; at least one bit, as Verilog has no empty vectors."""
    return unsigned(max(1, (count - 1).bit_length()))


def delay(m: Module, value: Value, cycles: int, *, reset_less: bool = True, init: int | None = None) -> Value:
    """``value`` as it was ``cycles`` clock cycles ago, and ``init`` before that; by default 0.

    Keep ``reset_less`` false for what marks other data as valid.
    """
    assert cycles >= 0, "a value is there before it comes"
    for _ in range(cycles):
        # Not `Signal.like`, which would take over an initial value.
        register = Signal(value.shape(), reset_less=reset_less, init=init, name="delayed")
        m.d.sync += register.eq(value)
        value = register
    return value


def adder_tree(m: Module, terms: Sequence[Value], total: Shape, radix: int) -> Value:
    """Sum of ``terms`` after `hw.blocks.latency.tree_latency` cycles, in registered nodes of up to ``radix`` inputs.

    ``total`` must hold the sum and every partial sum (`golden.contract.bounds`). A node is as wide as
    its operands can make it, but never wider than ``total``.
    """
    while len(terms) > 1:
        sums = []
        for first in range(0, len(terms), radix):
            exact = sum(terms[first : first + radix], start=Value.cast(0))
            width = min(exact.shape().width, total.width)
            register = Signal(Shape(width, signed=total.signed), reset_less=True, name="partial_sum")
            m.d.sync += register.eq(exact)
            sums.append(register)
        terms = sums
    return terms[0]


def exceeds(one: Value, other: Value) -> Value:
    """Whether ``one > other``: the sign of a difference, which is a single chain of carries."""
    return (other - one)[-1]


class Counter:
    """Counts 0 to ``size - 1`` and around whenever ``enable``.

    Attributes:
        value: the count.
        last: whether the count is at its end. It is a register of its own, so that nothing waits for a comparison.
    """

    def __init__(self, m: Module, size: int, enable: Value, *, init: int = 0, name: str) -> None:
        self.value = Signal(index_shape(size), init=init, name=name)
        self.last = Signal(init=int(init == size - 1), name=f"{name}_last")
        if size > 1:
            with m.If(enable):
                m.d.sync += self.value.eq(Mux(self.last, 0, self.value + 1))
                m.d.sync += self.last.eq((self.value == size - 2) & ~self.last)


def wrap_increment(value: Signal, step: int, modulus: int, among: Iterable[int] | None = None) -> Value:
    """``(value + step) % modulus`` for ``0 <= value < modulus``, without a divider.

    Args:
        among: the values that occur, where these are not all.
    """
    step %= modulus
    if not step:
        return value
    wraps = {number + step >= modulus for number in (range(modulus) if among is None else among)}
    wrapped, moved = value - (modulus - step), value + step
    if len(wraps) == 1:
        return wrapped if wraps.pop() else moved
    return Mux(value >= modulus - step, wrapped, moved)


def within(value: Signal, first: int, last: int, size: int) -> Value:
    """Whether ``first <= value <= last``, for a value known to be below ``size``."""
    result: Value = Const(1)
    if first > 0:
        result = result & (value >= first)
    if last < size - 1:
        result = result & (value <= last)
    return result


def pick(options: Sequence[Value], index: Value, among: Iterable[int] | None = None) -> Value:
    """``options[index]`` as a tree of two-way choices. An index beyond the options gives any of them.

    Args:
        among: the indices that occur, at least one, where these are not all.
    """
    numbers = sorted(range(len(options)) if among is None else among)
    if len(numbers) == 1:
        return options[numbers[0]]
    half = 1 << (len(options) - 1).bit_length() - 1
    lower = [number for number in numbers if number < half]
    upper = [number - half for number in numbers if number >= half]
    halves = [pick(part, index, kept) for part, kept in ((options[:half], lower), (options[half:], upper)) if kept]
    return halves[0] if len(halves) == 1 else Mux(index[half.bit_length() - 1], halves[1], halves[0])
