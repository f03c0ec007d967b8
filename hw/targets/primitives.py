"""Instances of the hard blocks that a target's text names, with every port that matters connected.

Each block does one operation per cycle, with all its registers in use. So an instance has no
state to reset and no enable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value, signed

#: Makes ``(sum, hand-on)`` of ``a * b + chain``. The hand-on only means something to the next DSP of a cascade.
Dsp = Callable[[Module, Value, Value, Value | None], tuple[Value, Value]]

#: Cycles from operands to product of a DSP: input, pipeline and output registers.
DSP_LATENCY = 3
#: Shapes of a DP16KD: bits of a word, by number of words. Shapes of less than nine bits have no parity bits.
DP16KD_SHAPES = {1024: 18, 2048: 9, 4096: 4, 8192: 2, 16384: 1}


def mult18x18d(m: Module, a: Value, b: Value, chain: Value | None) -> tuple[Value, Value]:
    """Lattice ECP5: 18 x 18 bits, three cycles, no cascade.

    Operands are left-aligned, so the product comes out in the top bits. The pins below an operand
    are constant and take no routing. An operand that is sign-extended to 18 bits would take routing
    for each copy of its sign.
    """
    assert chain is None
    product = Signal(signed(36), name="product")
    spare_a, spare_b = (18 - value.shape().width - (not value.shape().signed) for value in (a, b))
    left, right = _extended(m, a << spare_a, 18, "a"), _extended(m, b << spare_b, 18, "b")
    ports: dict[str, Any] = {f"i_A{bit}": left[bit] for bit in range(18)}
    ports |= {f"i_B{bit}": right[bit] for bit in range(18)}
    ports |= {f"o_P{bit}": product[bit] for bit in range(36)}
    ports |= {"i_SIGNEDA": Const(1), "i_SIGNEDB": Const(1), "i_SOURCEA": Const(0), "i_SOURCEB": Const(0)}
    ports |= {"i_CLK0": ClockSignal(), "i_CE0": Const(1), "i_RST0": Const(0)}
    registers = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
    m.submodules += Instance("MULT18X18D", **{f"p_REG_{name}_CLK": "CLK0" for name in registers}, **ports)
    return product[spare_a + spare_b :].as_signed(), Const(0)


def _dsp48(
    m: Module,
    module: str,
    widths: Mapping[str, int],
    parameters: Mapping[str, Any],
    a: Value,
    b: Value,
    chain: Value | None,
) -> tuple[Value, Value]:
    """A DSP48 that multiplies in three cycles and adds what the DSP before it hands on."""
    total, hand_on = Signal(signed(48), name="sum"), Signal(48, name="hand_on")
    # X and Y select the product. Z selects nothing, or the cascade.
    opmode = 0b000_01_01 if chain is None else 0b001_01_01
    common = {"USE_MULT": "MULTIPLY", "AREG": 1, "ACASCREG": 1, "BREG": 1, "BCASCREG": 1, "MREG": 1, "PREG": 1}
    unused = ("CREG", "DREG", "ADREG", "OPMODEREG", "ALUMODEREG", "INMODEREG", "CARRYINREG", "CARRYINSELREG")
    ports: dict[str, Any] = {
        "i_A": _extended(m, a, 30, "a"),
        "i_B": _extended(m, b, 18, "b"),
        "i_C": Const(0, 48),
        "i_D": Const(0, widths["D"]),
        "i_OPMODE": Const(opmode, widths["OPMODE"]),
        "i_PCIN": Const(0, 48) if chain is None else chain,
        "o_P": total,
        "o_PCOUT": hand_on,
        "i_CLK": ClockSignal(),
    }
    zero = {"ALUMODE": 4, "INMODE": 5, "CARRYINSEL": 3, "CARRYIN": 1, "ACIN": 30, "BCIN": 18}
    ports |= {f"i_{name}": Const(0, width) for name, width in zero.items()}
    enabled = ("A1", "A2", "B1", "B2", "M", "P", "C", "D", "AD", "CTRL", "ALUMODE", "INMODE", "CARRYIN")
    ports |= {f"i_CE{name}": Const(1) for name in enabled}
    reset = ("A", "B", "M", "P", "C", "D", "CTRL", "ALUMODE", "INMODE", "ALLCARRYIN")
    ports |= {f"i_RST{name}": Const(0) for name in reset}
    settings = {**common, **dict.fromkeys(unused, 0), **parameters}
    m.submodules += Instance(module, **{f"p_{name}": value for name, value in settings.items()}, **ports)
    return total, hand_on


def dsp48e1(m: Module, a: Value, b: Value, chain: Value | None) -> tuple[Value, Value]:
    """Xilinx 7 series: 25 x 18 bits, three cycles."""
    return _dsp48(m, "DSP48E1", {"D": 25, "OPMODE": 7}, {"USE_DPORT": "FALSE"}, a, b, chain)


def dsp48e2(m: Module, a: Value, b: Value, chain: Value | None) -> tuple[Value, Value]:
    """Xilinx UltraScale+: 27 x 18 bits, three cycles."""
    return _dsp48(m, "DSP48E2", {"D": 27, "OPMODE": 9}, {"AMULTSEL": "A", "BMULTSEL": "B"}, a, b, chain)


#: DSPs by the name of their module.
DSPS: Mapping[str, Dsp] = {"MULT18X18D": mult18x18d, "DSP48E1": dsp48e1, "DSP48E2": dsp48e2}


_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
#: What an instance in a text, or in a module of Amaranth, is connected to.
Net = TypeVar("Net")


def dp16kd_ram(
    m: Module,
    *,
    bits: int,
    write: tuple[Value, Value, Value],
    read_address: Value,
    enables: tuple[Value, Value] = (Const(1), Const(1)),
) -> Value:
    """Lattice ECP5 block RAM of ``bits``-bit words (a shape of `DP16KD_SHAPES`), written at port A, read at port B.

    Args:
        write: enable, address, data.
        enables: whether port B reads, and whether its output register takes what was read.

    Returns:
        The word, two cycles after its address. The block's output register is in use. Without it
        the block's clock-to-output delay alone takes 5.6 ns.
    """
    enable, address, data = write
    word = Signal(bits, name="word")
    ports = _dp16kd_port("A", bits, address, enable) | _dp16kd_port("B", bits, read_address, Const(0))
    ports |= {"i_CEB": enables[0], "i_OCEB": enables[1]}
    ports |= {f"i_DIA{bit}": data[bit] for bit in range(bits)}
    ports |= {f"o_DOB{bit}": word[bit] for bit in range(bits)}
    m.submodules += Instance("DP16KD", **_dp16kd_parameters(bits, []), **ports)
    return word


def dp16kd_rom(m: Module, *, bits: int, addresses: Sequence[Value], image: Sequence[int]) -> list[Value]:
    """Lattice ECP5 block RAM as a read-only memory of ``image``, read at one port or at both.

    Returns:
        For each address its word, two cycles later.
    """
    words: list[Value] = []
    ports: dict[str, Any] = {}
    for name, address in zip("AB", addresses, strict=False):
        word = Signal(bits, name=f"word_{name.lower()}")
        ports |= _dp16kd_port(name, bits, address, Const(0))
        ports |= {f"o_DO{name}{bit}": word[bit] for bit in range(bits)}
        words.append(word)
    m.submodules += Instance("DP16KD", **_dp16kd_parameters(bits, image), **ports)
    return words


def dp16kd_inputs(
    port: str, bits: int, address: Sequence[Net], *, clock: Net, write: Net, constants: tuple[Net, Net]
) -> dict[str, Net]:
    """What the inputs of port ``port`` ("A" or "B") are connected to: clock, enables, and the bits of the address.

    The address is left-aligned. With words of 18 bits the lowest address pins are byte enables.

    Args:
        write: whether the port writes.
        constants: a 0 and a 1.
    """
    zero, one = constants
    low = {18: 4, 9: 3, 4: 2, 2: 1, 1: 0}[bits]
    inputs = {f"AD{port}{low + bit}": net for bit, net in enumerate(address[: 14 - low])}
    inputs |= {f"AD{port}{bit}": zero for bit in range(low + len(address), 14)}
    inputs |= {f"AD{port}{bit}": one if bits == 18 and bit < 2 else zero for bit in range(low)}
    inputs |= {f"CLK{port}": clock, f"CE{port}": one, f"OCE{port}": one}
    inputs |= {f"WE{port}": write, f"RST{port}": zero, **{f"CS{port}{n}": zero for n in range(3)}}
    return inputs


def dp16kd_settings(bits: int) -> dict[str, int | str]:
    """Parameters of a block of ``bits``-bit words that reads through its output registers, but for the words."""
    settings: dict[str, int | str] = {f"DATA_WIDTH_{port}": bits for port in "AB"}
    settings |= {f"REGMODE_{port}": "OUTREG" for port in "AB"} | {f"WRITEMODE_{port}": "NORMAL" for port in "AB"}
    return settings | {f"CSDECODE_{port}": "0b000" for port in "AB"} | {"RESETMODE": "SYNC", "GSR": "AUTO"}


def dp16kd_words(bits: int, image: Sequence[int] | np.ndarray) -> dict[str, str]:
    """Parameters of a block with the words of ``image``, each as 80 hexadecimal digits; those that are 0 are left out.

    Word ``n`` lies where the address ``n`` finds it.
    """
    # The block has 1,024 units of 18 bits, each two bytes of nine bits. Narrow words fill eight bits of a byte.
    per_byte = max(1, 8 // bits)
    shifts = [9 * byte + bits * place for byte in range(18 // max(bits, 9)) for place in range(per_byte)]
    padded = np.zeros(1024 * len(shifts), np.int32)
    padded[: len(image)] = image
    units = padded.reshape(64, 16, len(shifts)) @ (1 << np.array(shifts, np.int32))
    # Each unit takes 20 bits of the text, the two highest of which stay 0. The first unit is the last in it.
    digits = _DIGITS[units[:, ::-1, np.newaxis] >> np.arange(16, -1, -4) & 15]
    taken = np.flatnonzero(units.any(axis=1)).tolist()
    return {f"INITVAL_{row:02X}": digits[row].tobytes().decode() for row in taken}


def _dp16kd_port(port: str, bits: int, address: Value, enable: Value) -> dict[str, Any]:
    nets = [address[bit] for bit in range(len(address))]
    inputs = dp16kd_inputs(port, bits, nets, clock=ClockSignal(), write=enable, constants=(Const(0), Const(1)))
    return {f"i_{name}": net for name, net in inputs.items()}


def _dp16kd_parameters(bits: int, image: Sequence[int]) -> dict[str, Any]:
    settings = dp16kd_settings(bits) | {
        name: Const(int(word, 16), 320) for name, word in dp16kd_words(bits, image).items()
    }
    return {f"p_{name}": value for name, value in settings.items()}


def _extended(m: Module, value: Value, width: int, name: str) -> Signal:
    """``value`` in ``width`` bits, its sign extended."""
    wide = Signal(signed(width), name=name)
    m.d.comb += wide.eq(value)
    return wide
