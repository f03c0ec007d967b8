"""Block module: a read-only memory in block RAMs as Verilog, its words among the parameters.

It is what `hw.blocks.memory.read_only` makes, behind the address register of a bank. As text it is there at once:
the way through Amaranth's objects and Yosys takes much longer, and memory, for so many digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from hw.blocks.memory import LATENCY, dp16kd_images, dp16kd_layout
from hw.targets.families import Target
from hw.targets.primitives import dp16kd_inputs, dp16kd_settings, dp16kd_words

_ZERO, _ONE = "1'h0", "1'h1"


def block_module(words: np.ndarray, width: int, *, target: Target, name: str) -> str:
    """The module ``name``, which has the words of one memory in block RAMs.

    Args:
        words: the words as little-endian bytes, uint8 ``[depth, ceil(width / 8)]``.
        width: bits of a word.
        target: a family whose block RAM is the DP16KD.

    Returns:
        Its text. Its ports are ``clk``, ``i_address``, and ``o_word``, which comes as late as that of a
        `hw.frozen.frozen_words.Bank`.
    """
    layout = dp16kd_layout(len(words), width, read_only=True)
    top = (len(words) - 1).bit_length() - 1
    address = [f"address[{bit}]" for bit in range(top + 1)]
    # Two columns in a block: each port has one, in its half of the block.
    half = (layout.words // 2 - 1).bit_length()
    ports = [address] if layout.ports == 1 else [[*(address + [_ZERO] * half)[:half], n] for n in (_ZERO, _ONE)]
    lines = [
        f"  input clk;\n  input [{top}:0] i_address;\n  output [{width - 1}:0] o_word;",
        *([f"  reg [{top}:0] address = 0;"] if target.fast else [f"  wire [{top}:0] address = i_address;"]),
    ]
    for bank, images in enumerate(dp16kd_images(layout, words)):
        lines.append(f"  wire [{len(images) * layout.ports * layout.bits - 1}:0] bank_{bank};")
        for number, image in enumerate(images):
            first = number * layout.ports * layout.bits
            lines += _block(f"block_{bank}_{number}", layout.bits, image, ports, f"bank_{bank}", first)
    updates = ["address <= i_address;"] if target.fast else []
    chosen = [f"address[{top}:14]", *(f"number_{cycle}" for cycle in range(LATENCY))]
    if layout.banks > 1:
        lines += [f"  reg [{top - 14}:0] {number} = 0;" for number in chosen[1:]]
        updates += [f"{later} <= {number};" for number, later in pairwise(chosen)]
    if updates:
        lines += ["  always @(posedge clk) begin", *(f"    {update}" for update in updates), "  end"]
    lines.append(f"  assign o_word = {_pick([f'bank_{n}[{width - 1}:0]' for n in range(layout.banks)], chosen[-1])};")
    return f"module {name} (clk, i_address, o_word);\n" + "\n".join(lines) + "\nendmodule\n"


def _block(
    name: str, bits: int, image: np.ndarray, ports: Sequence[Sequence[str]], word: str, first: int
) -> Iterator[str]:
    """Lines of one block. The words of its ports are the bits of ``word`` from ``first`` on."""
    settings = {key: f'"{value}"' if isinstance(value, str) else value for key, value in dp16kd_settings(bits).items()}
    settings |= {key: f"320'h{digits}" for key, digits in dp16kd_words(bits, image).items()}
    pins: dict[str, str] = {}
    for number, (port, address) in enumerate(zip("AB", ports, strict=False)):
        pins |= dp16kd_inputs(port, bits, address, clock="clk", write=_ZERO, constants=(_ZERO, _ONE))
        pins |= {f"DO{port}{bit}": f"{word}[{first + number * bits + bit}]" for bit in range(bits)}
    yield "  DP16KD #("
    yield ",\n".join(f"    .{key}({value})" for key, value in settings.items())
    yield f"  ) {name} ("
    yield ",\n".join(f"    .{pin}({net})" for pin, net in pins.items())
    yield "  );"


def _pick(options: Sequence[str], index: str) -> str:
    """``options[index]`` as `hw.blocks.pipeline.pick` chooses."""
    if len(options) == 1:
        return options[0]
    half = 1 << (len(options) - 1).bit_length() - 1
    lower, upper = _pick(options[:half], index), _pick(options[half:], index)
    return f"({index}[{half.bit_length() - 1}] ? {upper} : {lower})"
