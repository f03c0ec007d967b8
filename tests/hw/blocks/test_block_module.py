"""Block module: every word where its address finds it, as late as from the memory of a bank."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.contract.streams import hex_file
from hw.blocks.block_module import block_module
from hw.blocks.memory import LATENCY, dp16kd_layout
from hw.targets.families import ECP5
from tests.support.places import ROOT

BENCH = """\
module bench;
  reg clk = 0;
  reg [{top}:0] address = 0;
  wire [{last}:0] word;
  integer cycle;
  memory unit (.clk(clk), .i_address(address), .o_word(word));
  initial begin
    for (cycle = 0; cycle < {depth} + {latency}; cycle = cycle + 1) begin
      address = cycle < {depth} ? cycle : 0;
      #1 clk = 1;
      #1 clk = 0;
      if (cycle + 1 >= {latency}) $display("%h", word);
    end
    $finish(0);
  end
endmodule
"""

#: Depth and width of a memory, its banks, columns, and columns in a block: all shapes of a block, and limits of them.
SHAPES = {
    (17, 5): (1, 1, 2),
    (512, 45): (1, 3, 2),
    (513, 36): (1, 2, 1),
    (1024, 37): (1, 3, 1),
    (1025, 10): (1, 2, 1),
    (4096, 9): (1, 3, 1),
    (8192, 5): (1, 3, 1),
    (16384, 2): (1, 2, 1),
    (16385, 3): (2, 3, 1),
    (40000, 1): (3, 1, 1),
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("depth", "width"), SHAPES)
def test_words(depth: int, width: int, fast: bool, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus is not installed")
    layout = dp16kd_layout(depth, width, read_only=True)
    assert (layout.banks, layout.columns, layout.ports) == SHAPES[depth, width]
    bits = np.random.default_rng(depth).integers(0, 2, (depth, width), dtype=np.uint8)
    bits[[0, -1]] = 1  # so that no end is left out
    words = np.packbits(bits, axis=1, bitorder="little")
    text = block_module(words, width, target=replace(ECP5, fast=fast), name="memory")
    top, latency = (depth - 1).bit_length() - 1, LATENCY + fast
    bench = BENCH.format(depth=depth, top=top, last=width - 1, latency=latency)
    (tmp_path / "bench.v").write_text(bench + text)
    primitive = ROOT / "sim" / "primitives" / "DP16KD.v"
    for command in (["iverilog", "-Wall", "-o", "bench", "bench.v", str(primitive)], ["vvp", "-n", "bench"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[:depth] == hex_file(words, width).decode().split()


def test_words_of_zeros_take_no_text() -> None:
    words = np.zeros((1024, 2), np.uint8)
    assert "INITVAL" not in block_module(words, 16, target=ECP5, name="memory")
    words[1008, 1] = 0x80
    text = block_module(words, 16, target=ECP5, name="memory")
    assert text.count("INITVAL") == 1 and f".INITVAL_3F(320'h{0x8000:080x})" in text
