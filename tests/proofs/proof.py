"""What a proof is: a harness around real gateware, the depth of the search, and bugs that must make it fail."""

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
        name: its name, unique among the bugs of its proof.
        module: dotted name of the module, such as ``hw.unit.output_stream``.
        old: text that occurs exactly once in the module.
        new: text that takes the place of ``old``.
        build: the build in which the bug must be found.
        depth: cycles within which the bug must be found; None stands for the depth of its proof.
    """

    name: str
    module: str
    old: str
    new: str
    build: str
    depth: int | None = None

    def apply(self, text: str) -> str:
        """The module's text with the bug in it. Raises `ValueError` if ``old`` does not occur exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"bug {self.name}: {self.old!r} occurs {found} times in {self.module}, 1 is needed")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A property of some gateware, proven in several builds of it.

    Attributes:
        name: its name, unique among all proofs.
        claim: the property in words, one sentence.
        unbounded: whether the property holds for ever (k-induction), or for ``depth`` cycles after power-up
            (bounded model checking).
        depth: cycles of the base case and of the induction, or of the bounded search.
        builds: makes the harness of each build, by the build's name.
        bugs: bugs that are planted one at a time. Each must break a claim, not only a lemma.
        slow: names of the builds that only ``make prove`` runs.
        slow_bugs: names of the bugs that only ``make prove`` plants.
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

    Every input is free: the solver chooses its value in every cycle. The reset is free, too.

    Attributes:
        lemmas: whether lemmas are asserted as well. They make induction work. A planted bug is looked for
            without them, so that it counts only if it breaks a claim.
    """

    lemmas = True

    def __init__(self, ports: Mapping[str, Any]) -> None:
        super().__init__(dict(ports))
        #: What is led out of its components.
        self.probes: list[Probe] = []

    def inside(self, m: Module, name: str, component: Elaboratable) -> Inside:
        """Add a component as submodule ``name``, and look inside it."""
        return Inside.of(m, self.probes, component, name)

    @property
    def ports(self) -> list[Value]:
        """All ports of the harness, and the signals of its probes."""
        own = [Value.cast(value) for _, _, value in self.signature.flatten(self)]
        addresses = [probe.address for probe in self.probes if probe.address is not None]
        return [*own, *(probe.signal for probe in self.probes), *addresses]

    def assume(self, m: Module, condition: Any) -> None:
        """Leave out all behaviour in which ``condition`` is false in some cycle."""
        m.d.comb += Assume(Value.cast(condition).bool())

    def claim(self, m: Module, condition: Any) -> None:
        """Claim that ``condition`` holds in every cycle: this is what is proven."""
        m.d.comb += Assert(Value.cast(condition).bool(), src_loc_at=1)

    def lemma(self, m: Module, condition: Any) -> None:
        """Claim a helper invariant. It is proven as well, but is of no interest by itself."""
        if self.lemmas:
            m.d.comb += Assert(Value.cast(condition).bool(), src_loc_at=1)
