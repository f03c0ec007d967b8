"""Technology mapping of our own: what it makes of read-only memories of few words."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hw.synth import mapping
from hw.synth.toolchain import YOSYS, ToolError
from tests.support.tiers import thorough

MAP = Path(mapping.__file__).with_name("short_roms.v")
MODULE = """
module rom (input [{top}:0] address, output [{last}:0] word);
  reg [{last}:0] words [0:{deepest}];
  initial begin
    {content}
  end
  assign word = words[address];
endmodule
"""
#: Proves that ``rom`` is mapped as asked, and gives the words that it gave before at all addresses that have one.
PROOF = """
read_verilog rom.v
proc
memory_collect
copy rom gold
techmap -map short_roms.v rom/t:$mem_v2
select -assert-count {pairs} rom/t:LUT6_2
select -assert-count {rest} rom/t:LUT5
read_verilog +/xilinx/cells_sim.v
techmap -map +/xilinx/cells_sim.v rom/t:LUT*
memory_map gold rom
opt -full gold rom
miter -equiv -flatten -ignore_gold_x -make_outputs gold rom both
sat -verify -set-def-inputs -prove trigger 0 both
"""


def prove(folder: Path, words: int, bits: int, technology: str) -> None:
    draw = random.Random(words)
    content = " ".join(f"words[{word}] = {bits}'d{draw.getrandbits(bits)};" for word in range(words))
    text = MODULE.format(top=(words - 1).bit_length() - 1, last=bits - 1, deepest=words - 1, content=content)
    (folder / "rom.v").write_text(text)
    (folder / MAP.name).write_text(technology)
    (folder / "proof.ys").write_text(PROOF.format(pairs=bits // 2, rest=bits % 2))
    YOSYS.run("-q", "-s", "proof.ys", folder=folder)


@thorough
@pytest.mark.parametrize(("words", "bits"), [(9, 5), (32, 4)])
def test_a_short_rom(tmp_path: Path, words: int, bits: int) -> None:
    """Fewer words than the addresses have room for, an odd bit; and the most words."""
    prove(tmp_path, words, bits, MAP.read_text())


def test_the_proof_finds_a_wrong_order(tmp_path: Path) -> None:
    wrong = MAP.read_text().replace("{odd, even}", "{even, odd}")
    assert wrong != MAP.read_text()
    with pytest.raises(ToolError, match="proof did fail"):
        prove(tmp_path, 9, 5, wrong)
