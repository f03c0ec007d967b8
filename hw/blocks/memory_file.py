"""Memory files: words that do not stand in the Verilog but beside it, where ``$readmemh`` reads them.

All files of a design lie in one folder, which a Verilog macro names. So tools find them from any
working directory, and synthesis makes of such a memory what it makes of one whose words it is told.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from golden.contract.streams import hex_file
from hw.blocks.memory import style
from hw.targets.families import Target

#: Words of one store that take more bytes go to files. Fewer stand in the Verilog itself.
MOST_INLINE = 8192

_MODULE = """\
module {module} (clk, i_address, o_word);
  input clk;
  input [{address_top}:0] i_address;
  output [{top}:0] o_word;
  reg [{top}:0] read;
  reg [{top}:0] o_word = 0;
{address_register}\
  {style}reg [{top}:0] {name} [0:{last}];
  initial begin
    $readmemh({{`{macro}, "/{file}"}}, {name});
`ifndef SYNTHESIS
    // A simulator that does not find the file goes on without the words.
    if ({name}[{known}] !== {width}'h{value}) begin
      $display("error: %m: `{macro} %0s has no {file} of this build", `{macro});
      $fatal(1);
    end
`endif
  end
  always @(posedge clk) begin
{address_update}\
    read <= {name}[{address}];
    o_word <= read;
  end
endmodule
"""


class MemoryFolder:
    """The folder of a design's memory files.

    Attributes:
        name: of the folder, which lies beside the Verilog.
        macro: the Verilog macro that names the folder for tools that work elsewhere.
    """

    def __init__(self, design: str) -> None:
        """``design`` is the name of the design's top module."""
        self.name, self.macro = f"{design}_memory", f"{design.upper()}_MEMORY_DIR"

    @property
    def default(self) -> str:
        """Verilog that sets the macro where nobody has. It must come before all modules that read files."""
        return f'`ifndef {self.macro}\n`define {self.macro} "{self.name}"\n`endif\n'


class MemoryFiles:
    """The memory files of one unit, and the modules that read them.

    Attributes:
        folder: where the files lie.
    """

    def __init__(self, unit: str, folder: MemoryFolder) -> None:
        """``unit`` is the name of the unit's top module. Names of its modules and files begin with it."""
        self.folder = folder
        self._unit = unit
        self._contents: dict[str, bytes] = {}
        self._modules: dict[str, str] = {}

    @property
    def contents(self) -> Mapping[str, bytes]:
        """The files, by path relative to the Verilog."""
        return self._contents

    @property
    def verilog(self) -> str:
        """All modules that read files."""
        return "".join(self._modules.values())

    def add(
        self, words: np.ndarray, width: int, *, target: Target, store: str, module: str, where: str | None = None
    ) -> str:
        """Keep the words of one memory in a file.

        Args:
            words: the words as little-endian bytes, uint8 ``[depth, ceil(width / 8)]``.
            width: bits of a word.
            store: name of the store that the memory is a part of.
            module: name of the memory's instance in the store.
            where: what the memory is kept in, where `hw.blocks.memory.kind` does not say it.

        Returns:
            The name of the module that has the words. Its ports are ``clk``, ``i_address``, and ``o_word``, which
            comes as late as that of a `hw.frozen.frozen_words.Bank`.
        """
        depth, name = len(words), f"{self._unit}_{store}_{module}"
        file = f"{self._unit}_{module}.mem"
        text = hex_file(words, width)
        # A word that is not what a memory without its file has. Where all words are 0, any will do.
        known = int(np.argmax(words.any(axis=1)))
        address_top = max(1, (depth - 1).bit_length()) - 1
        told = style(target, depth, read_only=True, where=where)
        attributes = "".join(f'(* {key} = "{value}" *) ' for key, value in told.items())
        registered = f"  reg [{address_top}:0] address = 0;\n" if target.fast else ""
        digits = -(-width // 4)
        self._contents[f"{self.folder.name}/{file}"] = text
        self._modules[name] = _MODULE.format(
            module=name,
            address_top=address_top,
            top=width - 1,
            last=depth - 1,
            name=store,
            macro=self.folder.macro,
            file=file,
            style=attributes,
            known=known,
            width=width,
            value=text[known * (digits + 1) :][:digits].decode(),
            address_register=registered,
            address_update="    address <= i_address;\n" if target.fast else "",
            address="address" if target.fast else "i_address",
        )
        return name
