"""Inside: registers and memory words of a component by name, for lemmas about its state.

A harness has a free input for each register or word that it asks for, of the same width. Once the harness
is RTLIL, `expose` leads the register or word out to that input: every module on the way gets an output.
The registers and memories that there are, and their widths, are read from the component's own RTLIL.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Shape, Signal, Value

#: Number of the first port that is added to a module, above all numbers of its own ports.
FIRST_PORT = 100_000
#: Name of the module that is converted.
TOP = "top"
#: Finds a wire or memory in a module's text. A wire that the designer did not name has another name in another
#: surrounding, so that its name cannot be kept.
Source = Callable[["_Module"], str]


@dataclass(frozen=True)
class Probe:
    """A register or memory word that is led out.

    Attributes:
        signal: the harness's input that stands for it.
        path: names of the submodules that lead to it.
        source: finds it in the RTLIL of the last of these modules; of a word, it finds the memory.
        address: the word's address, a signal of the harness; None for a register.
    """

    signal: Signal
    path: tuple[str, ...]
    source: Source
    address: Signal | None = None


class Inside:
    """The registers and memory words inside a component or one of its submodules.

    Args:
        m: the harness's module.
        probes: the list to which everything that is asked for is added.
        modules: the component's RTLIL, module by module.
        path: names of the submodules that lead here; the component's own name comes first.
    """

    def __init__(self, m: Module, probes: list[Probe], modules: Mapping[str, str], path: tuple[str, ...]) -> None:
        self._m, self._probes, self._modules, self._path = m, probes, modules, path

    @classmethod
    def of(cls, m: Module, probes: list[Probe], component: Elaboratable, name: str) -> Inside:
        """Add ``component`` to the harness's module as submodule ``name``, and look inside it."""
        m.submodules[name] = component
        return cls(m, probes, _modules(rtlil.convert(component, name=TOP, emit_src=False)), (name,))

    def part(self, name: str) -> Inside:
        """The inside of the submodule called ``name``."""
        return Inside(self._m, self._probes, self._modules, (*self._path, name))

    def register(self, name: str) -> Signal:
        """The only signal called ``name`` here."""
        return self._wire(lambda module: module.wire_called(name))

    def after(self, source: str | Signal) -> Signal:
        """The only register here that has the value of ``source`` a cycle later.

        Args:
            source: name of a signal, or a register that was asked for before.
        """
        if isinstance(source, Signal):
            before = next(probe.source for probe in self._probes if probe.signal is source)
            return self._wire(lambda module: module.register_after(before(module)))
        return self._wire(lambda module: module.register_after(module.wire_called(source)))

    def word(self, memory: str, address: Value) -> Signal:
        """The word that a memory holds at ``address`` in this cycle."""
        width, size = self._module.memories[memory]
        index = Signal(range(size), name=f"inside_{len(self._probes)}_at")
        self._m.d.comb += index.eq(address)
        return self._probe(Shape(width), lambda _: memory, index)

    def written(self, memory: str) -> tuple[Value, Signal]:
        """Whether a word of a memory is being written in this cycle, and its address."""
        address, enable = self._module.write_port(memory)
        return (
            self._probe(Shape(_width(enable)), lambda module: module.write_port(memory)[1])[0],
            self._probe(Shape(_width(address)), lambda module: module.write_port(memory)[0]),
        )

    @cached_property
    def _module(self) -> _Module:
        return _Module(self._modules[".".join((TOP, *self._path[1:]))])

    def _wire(self, source: Source) -> Signal:
        return self._probe(self._module.wires[source(self._module)], source)

    def _probe(self, shape: Shape, source: Source, address: Signal | None = None) -> Signal:
        signal = Signal(shape, name=f"inside_{len(self._probes)}")
        self._probes.append(Probe(signal, self._path, source, address))
        return signal


class _Module:
    """The text of a module in RTLIL.

    Attributes:
        wires: shapes of all wires, by name.
        memories: width and size of all memories, by name.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.wires = {
            name: Shape(int(width), signed=bool(signed))
            for width, signed, name in re.findall(
                r"^  wire width (\d+)(?: (?:input|output) \d+)? *(signed )? *(?:(?:input|output) \d+ +)?(\S+)$",
                text,
                re.MULTILINE,
            )
        }
        self.memories = {
            name: (int(width), int(size))
            for width, size, name in re.findall(r"^  memory width (\d+) size (\d+) \\(\S+)$", text, re.MULTILINE)
        }

    def wire_called(self, name: str) -> str:
        """The only wire called ``name``, with or without a number behind the name."""
        called = [wire for wire in self.wires if re.fullmatch(rf"\\{re.escape(name)}(\$\d+)?", wire)]
        return _only(f"signal {name}", called)

    def register_after(self, wire: str) -> str:
        """The only wire that is a register of ``wire``, with or without a reset."""
        found = []
        for data, register in re.findall(
            r"cell \$dff .*?connect \\D (.*?)\n.*?connect \\Q (\S+)\n", self._text, re.DOTALL
        ):
            assigned = re.search(rf"^    assign {re.escape(data)} (.*)$", self._text, re.MULTILINE)
            if (assigned[1] if assigned else data).split(" ")[0] == wire:
                found.append(register)
        return _only(f"register after {wire}", found)

    def write_port(self, memory: str) -> tuple[str, str]:
        """Address and enable of a memory's only write port, as the text has them."""
        ports = re.findall(r"cell \$memwr_v2 .*?\n  end", self._text, re.DOTALL)
        port = _only(f"port of {memory}", [port for port in ports if f'\\MEMID "\\\\{memory}"' in port])
        found = [re.search(rf"connect \\{name} (.*)$", port, re.MULTILINE) for name in ("ADDR", "EN")]
        assert found[0] is not None and found[1] is not None
        return found[0][1], found[1][1]


def expose(text: str, probes: Iterable[Probe]) -> str:
    """The RTLIL ``text`` of a harness, where the inputs of ``probes`` are driven by what they stand for."""
    modules = _modules(text)
    port = itertools.count(FIRST_PORT)
    for probe in probes:
        name, at = f"\\{probe.signal.name}", f"\\{probe.signal.name}_at"
        width = len(probe.signal)
        ways = [(TOP, *probe.path[:depth]) for depth in range(len(probe.path) + 1)]
        top = ".".join(ways[0])
        modules[top] = re.sub(
            rf"^(  wire width \d+) input \d+ +((?:signed )? *{re.escape(name)})$",
            r"\1 \2",
            modules[top],
            flags=re.MULTILINE,
        )
        for way in ways[1:]:
            module, above = ".".join(way), ".".join(way[:-1])
            lines = [f"  wire width {width} output {next(port)} {name}"]
            pins = [f"    connect {name} {name}"]
            if probe.address is not None:
                lines.append(f"  wire width {len(probe.address)} input {next(port)} {at}")
                pins.append(f"    connect {at} {at}")
            modules[module] = _declaring(modules[module], lines)
            cell = f"  cell \\{module} \\{way[-1]}\n"
            assert modules[above].count(cell) == 1, f"{cell.strip()} of {above}"
            modules[above] = modules[above].replace(cell, cell + "".join(f"{pin}\n" for pin in pins))
        last = ".".join(ways[-1])
        source = probe.source(_Module(modules[last]))
        if probe.address is None:
            modules[last] = _with(modules[last], [f"  connect {name} {source}"])
        else:
            modules[last] = _with(modules[last], _read_port(source, name, width, at, len(probe.address)))
    return "".join(modules.values())


def _read_port(memory: str, data: str, width: int, address: str, bits: int) -> list[str]:
    parameters = {
        "MEMID": f'"\\\\{memory}"',
        "ABITS": bits,
        "WIDTH": width,
        "TRANSPARENCY_MASK": "1'0",
        "COLLISION_X_MASK": "1'0",
        **dict.fromkeys(("ARST_VALUE", "SRST_VALUE", "INIT_VALUE"), f"{width}'{'x' * width}"),
        **{"CE_OVER_SRST": 0, "CLK_ENABLE": 0, "CLK_POLARITY": 1},
    }
    pins = {"ADDR": address, "DATA": data, "ARST": "1'0", "SRST": "1'0", "EN": "1'1", "CLK": "1'0"}
    return [
        f"  cell $memrd_v2 \\read{data.removeprefix(chr(92))}",
        *(f"    parameter \\{name} {value}" for name, value in parameters.items()),
        *(f"    connect \\{name} {value}" for name, value in pins.items()),
        "  end",
    ]


def _modules(text: str) -> dict[str, str]:
    """The text of each module, with the lines before it, by the module's name without the backslash."""
    parts = re.split(r"(?<=^end\n)", text, flags=re.MULTILINE)
    found = {}
    for part in parts:
        head = re.search(r"^module \\(\S+)$", part, re.MULTILINE)
        if head is None:
            assert not part.strip(), part
            continue
        found[head[1]] = part
    return found


def _declaring(module: str, wires: Sequence[str]) -> str:
    """The text of ``module`` with further wires at its beginning, before all that may use them."""
    head, begin, rest = module.partition("\nmodule ")
    name, end, body = (rest if begin else module.removeprefix("module ")).partition("\n")
    return (head + begin if begin else "module ") + name + end + "".join(f"{wire}\n" for wire in wires) + body


def _with(module: str, lines: Sequence[str]) -> str:
    """The text of ``module`` with further lines at its end."""
    body, end, rest = module.rpartition("\nend\n")
    return body + "\n" + "\n".join(lines) + end + rest


def _width(sigspec: str) -> int:
    """Number of bits of a signal, of a part of a signal, or of several of these joined."""
    inner = sigspec.strip("{} ") if sigspec.startswith("{") else sigspec
    if inner.isdigit() or "'" in inner:
        return int(inner.partition("'")[0])
    total = 0
    for _, high, low in re.findall(r"(\S+) \[(\d+)(?::(\d+))?\]", inner):
        total += int(high) - int(low or high) + 1
    return total


def _only(what: str, found: list[str]) -> str:
    assert len(found) == 1, f"{what}: {len(found)} of that name, 1 is needed"
    return found[0]
