"""What a register table is made of: registers with fields, and windows of many words that are alike.

Addresses count bytes. Every register and every word of a window is 32 bits wide and aligned.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from golden.contract.ranges import Range

#: Width of frame numbers, counters and all registers.
WORD = 32
WORD_BYTES = WORD // 8


class Access(enum.Enum):
    """Who changes a register. The values are the words that the documents use."""

    CONSTANT = "constant"
    READ_ONLY = "read only"
    READ_WRITE = "read, write"
    WRITE_ONLY = "write only"
    CLEAR = "read, write 1 to clear"

    @property
    def readable(self) -> bool:
        return self is not Access.WRITE_ONLY

    @property
    def writable(self) -> bool:
        return self not in (Access.CONSTANT, Access.READ_ONLY)


@dataclass(frozen=True, kw_only=True)
class Field:
    """Some bits of a register.

    Attributes:
        low: position of the lowest bit.
        reset: value after a reset. A constant always has it.
        allowed: values that may be written, where these are less than what the bits hold.
    """

    name: str
    low: int
    bits: int = 1
    reset: int = 0
    allowed: Range | None = None
    description: str

    @property
    def high(self) -> int:
        """Position of the highest bit."""
        return self.low + self.bits - 1

    @property
    def mask(self) -> int:
        """The field's bits in its register."""
        return ((1 << self.bits) - 1) << self.low


@dataclass(frozen=True, kw_only=True)
class Register:
    """One word.

    Attributes:
        refused_while: when a write of an allowed value is refused; empty where it never is.
    """

    name: str
    address: int
    access: Access
    fields: tuple[Field, ...]
    description: str
    refused_while: str = ""

    @property
    def mask(self) -> int:
        """Bits that belong to a field. The other bits read as 0 and must be written as 0."""
        return sum(field.mask for field in self.fields)

    @property
    def reset(self) -> int:
        """The whole word after a reset."""
        return sum(field.reset << field.low for field in self.fields)

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def pack(self, values: Mapping[str, int]) -> int:
        """The word with ``values`` of fields, by name. Other fields are 0."""
        return sum(value << self.field(name).low for name, value in values.items())

    def unpack(self, word: int) -> dict[str, int]:
        """Value of each field in ``word``."""
        return {field.name: (word & field.mask) >> field.low for field in self.fields}


@dataclass(frozen=True, kw_only=True)
class Window:
    """Words ``[row][lane]`` that can only be written, all with the same meaning.

    Attributes:
        address: address of the first word.
        rows: number of rows.
        lanes: words of a row. Rows are a power of two apart.
        allowed: values that may be written, where these are less than what 32 bits hold.
        refused_while: when a write of an allowed value is refused.
    """

    name: str
    address: int
    rows: int
    lanes: int
    allowed: Range | None = None
    description: str
    refused_while: str

    @property
    def lane_bits(self) -> int:
        """Bits of the word address that number the lane."""
        return (self.lanes - 1).bit_length()

    @property
    def stride(self) -> int:
        """Bytes from row to row."""
        return WORD_BYTES << self.lane_bits

    @property
    def end(self) -> int:
        """First address behind the window."""
        return self.address + self.rows * self.stride

    def word_address(self, index: int) -> int:
        """Address of word ``index``, counted over the rows: ``index = row * lanes + lane``."""
        row, lane = divmod(index, self.lanes)
        return self.address + row * self.stride + lane * WORD_BYTES


@dataclass(frozen=True, kw_only=True)
class RegisterTable:
    """All that a bus master sees.

    Attributes:
        address_bits: width of an address.
    """

    name: str
    description: str
    address_bits: int
    registers: tuple[Register, ...]
    windows: tuple[Window, ...]

    @property
    def entries(self) -> tuple[Register | Window, ...]:
        """Registers and windows, in order of address."""
        return (*self.registers, *self.windows)

    @cached_property
    def by_name(self) -> dict[str, Register]:
        return {register.name: register for register in self.registers}

    def __getitem__(self, name: str) -> Register:
        return self.by_name[name]

    def window(self, name: str) -> Window:
        return next(window for window in self.windows if window.name == name)

    def of_access(self, *accesses: Access) -> Iterator[Register]:
        """Registers of any of these kinds, in order of address."""
        return (register for register in self.registers if register.access in accesses)

    @property
    def constants(self) -> dict[str, int]:
        """Value of each field of the constant registers, by the field's name."""
        return {f.name: f.reset for register in self.of_access(Access.CONSTANT) for f in register.fields}
