"""Inside: registers and memory words of a component by name, for lemmas about its state."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Elaboratable, Fragment, Signal, Value
from amaranth.hdl._mem import MemoryInstance


class Inside:
    """What is inside a component.

    Attributes:
        whole: to be added as a submodule in the component's place.
    """

    def __init__(self, component: Elaboratable | Fragment) -> None:
        self._fragment = Fragment.get(component, None)

    @property
    def whole(self) -> Elaboratable:
        return _Elaborated(self._fragment)

    def part(self, name: str) -> Inside:
        """The submodule called ``name``."""
        return Inside(_only(f"submodule {name}", [f for f, n, _ in self._fragment.subfragments if n == name]))

    def register(self, name: str) -> Signal:
        """The only signal called ``name`` that is assigned here."""
        found: dict[int, Signal] = {}
        for statements in self._fragment.statements.values():
            for statement in statements:
                found |= {id(s): s for s in statement._lhs_signals() if s.name == name}
        return _only(f"signal {name}", list(found.values()))

    def words(self, name: str) -> list[Value]:
        """All words of the memory called ``name``."""
        memory = self.part(name)._fragment
        assert isinstance(memory, MemoryInstance)
        data = memory._data
        words = []
        for index in range(data.depth):
            word = Signal(Value.cast(Signal(data.shape)).shape(), name=f"word_{index}")
            address = Const(index, (data.depth - 1).bit_length())
            memory.read_port(domain="comb", addr=address, data=word, en=Const(1, 1), transparent_for=())
            words.append(word)
        return words


class _Elaborated(Elaboratable):
    def __init__(self, fragment: Fragment) -> None:
        self._fragment = fragment

    def elaborate(self, platform: object) -> Fragment:
        return self._fragment


def _only(what: str, found: list[Any]) -> Any:
    assert len(found) == 1, f"{what}: {len(found)} of that name, 1 is needed"
    return found[0]
