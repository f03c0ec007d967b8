"""What a proof is: a harness around real gateware, how deep it goes, and the bugs that must make it fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Value
from amaranth.lib import wiring

from tests.proofs.inside import Inside, Probe

#: Makes the harness of one build.
Build = Callable[[], "Harness"]


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A bug planted in the text of a module.

    Attributes:
        name: unique among those of its proof.
        module: dotted name of the module, ``hw.unit.output_stream``.
        old, new: text that occurs exactly once in it, and what takes its place.
        build: the build in which it must be found.
        depth: cycles within which it must be found; None as many as the proof's.
    """

    name: str
    module: str
    old: str
    new: str
    build: str
    depth: int | None = None

    def apply(self, text: str) -> str:
        """The module's text with the bug in it. Raises `ValueError` if ``old`` is not there exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"bug {self.name}: {self.old!r} occurs {found} times in {self.module}, 1 is needed")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A property of some gateware, proven in several builds of it.

    Attributes:
        name: unique.
        claim: the property in words, one sentence.
        unbounded: whether it holds for ever (k-induction), or for ``depth`` cycles after power-up (bounded).
        depth: cycles of the base case and of the induction, or of the bounded search.
        builds: what makes the harness of each build.
        bugs: planted one at a time; each must break a claim, not only a lemma.
        slow: builds that `make test` leaves to `make prove`.
        slow_bugs: the same for planted bugs.
    """

    name: str
    claim: str
    unbounded: bool
    depth: int
    builds: Mapping[str, Build]
    bugs: tuple[Bug, ...]
    slow: frozenset[str] = field(default_factory=frozenset)
    slow_bugs: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        assert len({bug.name for bug in self.bugs}) == len(self.bugs) >= 2, self.name
        assert {bug.build for bug in self.bugs} | self.slow <= set(self.builds), self.name
        assert self.slow_bugs <= {bug.name for bug in self.bugs}, self.name


class Harness(wiring.Component):
    """Gateware, and what is assumed and claimed about it.

    Every input is free: the solver chooses its value in every cycle, the reset's too.

    Attributes:
        lemmas: whether helper invariants are asserted as well. They make induction work; a planted
            bug is looked for without them, so that it counts only if it breaks a claim.
    """

    lemmas = True

    def __init__(self, ports: Mapping[str, Any]) -> None:
        super().__init__(dict(ports))
        #: What of its components is led out to it.
        self.probes: list[Probe] = []

    def inside(self, m: Module, name: str, component: Elaboratable) -> Inside:
        """Add a component as a submodule, and look inside."""
        return Inside.of(m, self.probes, component, name)

    @property
    def ports(self) -> list[Value]:
        """All its ports, and the inputs for what is inside."""
        own = [Value.cast(value) for _, _, value in self.signature.flatten(self)]
        addresses = [probe.address for probe in self.probes if probe.address is not None]
        return [*own, *(probe.signal for probe in self.probes), *addresses]

    def assume(self, m: Module, condition: Any) -> None:
        """Leave out all behaviour in which ``condition`` is false in some cycle."""
        m.d.comb += Assume(Value.cast(condition).bool())

    def claim(self, m: Module, condition: Any) -> None:
        """What is proven: ``condition`` holds in every cycle."""
        m.d.comb += Assert(Value.cast(condition).bool(), src_loc_at=1)

    def lemma(self, m: Module, condition: Any) -> None:
        """A helper invariant: proven as well, and of no interest by itself."""
        if self.lemmas:
            m.d.comb += Assert(Value.cast(condition).bool(), src_loc_at=1)
