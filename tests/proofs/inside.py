"""Inside: registers and memory words of a component by name, for lemmas about its state."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Elaboratable, Fragment, Module, Shape, Signal, Value
from amaranth.hdl._mem import MemoryInstance


class Inside:
    """What is inside a component.

    Args:
        m: where it will be a submodule.

    Attributes:
        whole: to be added as a submodule in the component's place.
    """

    def __init__(self, m: Module, component: Elaboratable | Fragment) -> None:
        self._m = m
        self._fragment = Fragment.get(component, None)

    @property
    def whole(self) -> Elaboratable:
        return _Elaborated(self._fragment)

    def part(self, name: str) -> Inside:
        """The submodule called ``name``."""
        return Inside(self._m, _only(f"submodule {name}", [f for f, n, _ in self._fragment.subfragments if n == name]))

    def register(self, name: str) -> Signal:
        """The only signal called ``name`` that is assigned here."""
        found: dict[int, Signal] = {}
        for statements in self._fragment.statements.values():
            for statement in statements:
                found |= {id(s): s for s in statement._lhs_signals() if s.name == name}
        return _only(f"signal {name}", list(found.values()))

    def after(self, signal: Signal) -> Signal:
        """The only register here that is ``signal``, a cycle later."""
        statements = self._fragment.statements.get("sync", ())
        return _only(f"register after {signal.name}", [s.lhs for s in statements if getattr(s, "rhs", None) is signal])

    def memory(self, name: str) -> MemoryInstance:
        """The memory called ``name``."""
        return self.part(name)._fragment

    def word(self, name: str, address: Value) -> Signal:
        """What the memory called ``name`` holds at ``address`` in this cycle."""
        memory = self.memory(name)
        word = Signal(Shape.cast(memory._data.shape).width, name=f"{name}_word")
        index = Signal(range(memory._data.depth), name=f"{name}_index")
        memory.read_port(domain="comb", addr=index, data=word, en=Const(1, 1), transparent_for=())
        self._m.d.comb += index.eq(address)
        return word


class _Elaborated(Elaboratable):
    def __init__(self, fragment: Fragment) -> None:
        self._fragment = fragment

    def elaborate(self, platform: object) -> Fragment:
        return self._fragment


def _only(what: str, found: list[Any]) -> Any:
    assert len(found) == 1, f"{what}: {len(found)} of that name, 1 is needed"
    return found[0]
