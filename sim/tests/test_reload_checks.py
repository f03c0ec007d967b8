"""The checks of reloadable units, checked: a unit with a fault planted at a port must fail in the expected test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden.contract.ranges import Range
from golden.contract.rounding import ROUNDINGS, Rounding
from golden.layers.random_layer import random_layer
from hw.export.verilog import Core, generate
from sim.cases.reloadable import reloadable_case
from sim.reloadable.exercise import exercise_reloadable
from sim.reloadable.reference import count_cut
from sim.tests.support import installed

pytestmark = pytest.mark.thorough


NAME = "conv_1x1"
#: Pieces of the unit's top module that the faults replace.
READ_DATA, ANSWER = ".s_axi_rdata(s_axi_rdata)", ".s_axi_bvalid(s_axi_bvalid)"
READ_ADDRESS = ".araddr(s_axi_araddr)"
RESPONSE, READY = ".s_axi_bresp(s_axi_bresp)", "assign s_axis_tready = o_ready & awake;"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planted fault.

    Attributes:
        text: the piece of Verilog that is replaced, and what takes its place.
        found: a test of `sim.reloadable.tests` that must fail, and a part of its message.
        state: Verilog declarations and processes that the replacement needs.
    """

    text: tuple[str, str]
    found: tuple[str, str]
    state: str = ""


FAULTS: Mapping[str, Fault] = {
    "wrong register": Fault(
        text=(READ_DATA, ".s_axi_rdata(plain)"),
        state="wire [31:0] plain; assign s_axi_rdata = plain + (plain > 1000);",
        found=("load_and_run", "reads as"),
    ),
    "wrong counter": Fault(
        text=(READ_DATA, ".s_axi_rdata(plain)"),
        state="wire [31:0] plain; assign s_axi_rdata = plain == 4 ? 5 : plain;",
        found=("stalled", "reads as 5, not 4"),
    ),
    "no refusal": Fault(
        text=(RESPONSE, ".s_axi_bresp()"),
        state="assign s_axi_bresp = 0;",
        found=("bad_accesses", "is accepted, which is a case of bad_access"),
    ),
    "second address": Fault(  # the register ``width`` (0x44) has a second address
        text=(READ_ADDRESS, ".araddr(s_axi_araddr == 'h244 ? 'h44 : s_axi_araddr)"),
        found=("bad_accesses", "read of 0x244 is accepted"),
    ),
    "answer falls": Fault(
        text=(ANSWER, ".s_axi_bvalid(plain)"),
        state="wire plain; reg late = 0; always @(posedge aclk) late <= plain; assign s_axi_bvalid = plain & ~late;",
        found=("paused/port=bus", "fell before"),
    ),
    "surplus answer": Fault(
        text=(ANSWER, ".s_axi_bvalid(plain)"),
        state="""wire plain; reg more = 0; assign s_axi_bvalid = plain | more;
        always @(posedge aclk) more <= plain & s_axi_bready;""",
        found=("load_and_run", "b answers without aw"),
    ),
    "taken too early": Fault(
        text=(READY, "assign s_axis_tready = awake;"), found=("nothing_before_a_load", "although nothing is in force")
    ),
    "taken and lost": Fault(
        text=(READY, "assign s_axis_tready = (o_ready | s_axis_tvalid) & awake;"),
        found=("swap_at_frame", "beats are wrong"),
    ),
}


@cache
def unit() -> Core:
    return generate(reloadable_case(NAME))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    core = unit()
    sound, planted = fault.text
    assert core.verilog.count(sound) == 1
    head, top = core.verilog.split("module xvolution(")
    ports, body = top.split(");", 1)
    body, tail = body.replace(sound, planted).split("endmodule", 1)
    verilog = f"{head}module xvolution({ports});{body}{fault.state}\nendmodule{tail}"
    test, word = fault.found
    wrong = dataclasses.replace(core, verilog=verilog)
    (message,) = exercise_reloadable(wrong, installed("icarus"), tmp_path, tests=rf"\.{test}$").values()
    assert message is not None and word in message, message


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_elements_that_are_cut(signed: bool, relu: bool, rounding: Rounding, seed: int) -> None:
    """Elements beyond a limit other than 0 are counted as in arithmetic without bounds."""
    rng = np.random.default_rng(seed)
    fields = {"in_channels": 1, "out_channels": 2, "height": 4, "width": 5, "kernel": 1, "attn_offsets": ()}
    layer = random_layer(rng, **fields, out_bits=4, out_signed=signed, relu=relu, out_shift=9, rounding=rounding)
    limits = Range.of_format(4, signed)
    x = rng.integers(0, 255, (3, 1, 4, 5))
    cut = 0
    for channel in range(2):
        for pixel in x.ravel().tolist():
            acc = (
                int(layer.bias[channel]) + 2**layer.config.attn_shift * int(layer.conv_weight[channel, 0, 0, 0]) * pixel
            )
            y = rounded(acc * int(layer.multiplier[channel]), 9, rounding)
            cut += y > limits.high or (y < limits.low < 0 and not relu)
    assert count_cut(layer, x) == cut > 0


def rounded(value: int, shift: int, rounding: Rounding) -> int:
    low, rest, half = value >> shift, value % 2**shift, 2 ** (shift - 1)
    goes_up = {
        "half_even": rest > half or (rest == half and low % 2 == 1),
        "half_up": rest >= half,
        "floor": False,
    }
    return low + goes_up[rounding]
