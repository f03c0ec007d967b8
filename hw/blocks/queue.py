"""Queue: a few entries in order, each there a cycle after it came in."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory

from hw.blocks.pipeline import index_shape, wrap_increment


class Queue:
    """A FIFO of ``depth`` entries of ``shape``, in LUT RAM.

    Attributes:
        head: the oldest entry; only while ``some``.
        some: whether there is an entry, a register of its own.
        level: number of entries.
    """

    def __init__(
        self,
        m: Module,
        shape: Shape | data.Layout,
        depth: int,
        *,
        push: Value,
        entry: Value,
        pop: Value,
        name: str,
        attrs: Mapping[str, str] | None = None,
        late: bool = False,
    ) -> None:
        """``push`` an ``entry`` only while there is room, ``pop`` only while there is ``some``.

        Args:
            attrs: attributes of the memory, such as `hw.blocks.memory.lut_style`. A queue of more than a few entries
                needs to be told, or synthesis makes a block RAM of it and of the register that reads the head.
            late: ``pop`` is known late in its cycle, so that there is no time for a carry behind it.
        """
        m.submodules[name] = store = memory.Memory(shape=shape, depth=depth, init=[], attrs=attrs or {})
        write, read = store.write_port(), store.read_port(domain="comb")
        tail, first = Signal(index_shape(depth), name=f"{name}_tail"), Signal(index_shape(depth), name=f"{name}_first")
        self.level = Signal(range(depth + 1), name=f"{name}_level")
        self.some = Signal(name=f"{name}_some")
        self.head = read.data
        m.d.comb += [write.addr.eq(tail), write.data.eq(entry), write.en.eq(push), read.addr.eq(first)]
        count(m, self.level, push, pop, late=late)
        m.d.sync += self.some.eq(push | Mux(pop, self.level > 1, self.some))
        with m.If(push):
            m.d.sync += tail.eq(wrap_increment(tail, 1, depth))
        with m.If(pop):
            m.d.sync += first.eq(wrap_increment(first, 1, depth))


def count(m: Module, level: Signal, push: Value, pop: Value, *, late: bool) -> None:
    """Keep in the register ``level`` how many entries there are.

    Args:
        late: as in `Queue`.
    """
    if late:
        with m.If(push ^ pop):
            m.d.sync += level.eq(level + Mux(push, 1, -1))
    else:
        m.d.sync += level.eq(level + push - pop)
