"""The checks of frozen units, checked: a unit with a planted fault must fail in the expected test."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden.contract.streams import Payload
from hw.export.verilog import Core, generate
from sim.bulk.simulate import simulate
from sim.cases.frozen import named_case
from sim.cases.stimulus import random_frames
from sim.frozen.exercise import exercise
from sim.tests.support import installed

pytestmark = pytest.mark.thorough


#: A wrapper around the sound unit. The fault sits between ``u_*`` (the unit) and ``m_axis_*``, ``s_axis_*`` (its user).
WRAPPER = """
module xvolution(
    input aclk, input aresetn,
    input s_axis_tvalid, output s_axis_tready, input [{in_bits}-1:0] s_axis_tdata,
    output m_axis_tvalid, input m_axis_tready, output [{out_bits}-1:0] m_axis_tdata, output m_axis_tlast
);
    wire u_resetn, u_in_valid, u_in_ready, u_valid, u_ready, u_last;
    wire [{out_bits}-1:0] u_data;
    sound unit (
        .aclk(aclk), .aresetn(u_resetn),
        .s_axis_tvalid(u_in_valid), .s_axis_tready(u_in_ready), .s_axis_tdata(s_axis_tdata),
        .m_axis_tvalid(u_valid), .m_axis_tready(u_ready), .m_axis_tdata(u_data), .m_axis_tlast(u_last)
    );
    integer beats = 0;       // output beats since reset
    reg stalled = 0;         // an output beat was offered and not taken in the cycle before
    reg running = 0;         // the first reset is over
    always @(posedge aclk) begin
        beats <= !aresetn ? 0 : beats + (m_axis_tvalid && m_axis_tready);
        stalled <= aresetn && m_axis_tvalid && !m_axis_tready;
        running <= running || aresetn;
    end
{body}
endmodule
"""
#: How the wrapper drives each wire that a fault leaves alone.
SOUND = {
    "u_resetn": "aresetn",
    "u_in_valid": "s_axis_tvalid",
    "s_axis_tready": "u_in_ready",
    "m_axis_tvalid": "u_valid",
    "u_ready": "m_axis_tready",
    "m_axis_tdata": "u_data",
    "m_axis_tlast": "u_last",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planted fault.

    Attributes:
        wires: assignments that differ from `SOUND`.
        found: a test of `sim.frozen.tests` that must fail, and a part of its message.
        bulk: a part of what the bulk path must say; None if it cannot see the fault.
        state: Verilog declarations and processes that the assignments need.
    """

    wires: dict[str, str]
    found: tuple[str, str]
    bulk: str | None
    state: str = ""


FAULTS = {
    "wrong bit": Fault(
        wires={"m_axis_tdata": "u_data ^ (beats == 70)"},
        found=("full_rate", "elements are wrong"),
        bulk="wrong or missing",
    ),
    "padding bit": Fault(
        wires={"m_axis_tdata": "u_data | ({out_bits}'d1 << ({out_bits} - 1))"},
        found=("full_rate", "padding bits"),
        bulk="padding bits",
    ),
    "tvalid falls": Fault(
        wires={"m_axis_tvalid": "u_valid && !stalled", "u_ready": "m_axis_tready && !stalled"},
        found=("paused/pattern=stall", "tvalid fell"),
        bulk="m_axis_tvalid falls",
    ),
    "tdata changes": Fault(
        wires={"m_axis_tdata": "u_data + stalled"}, found=("paused/pattern=stall", "changed"), bulk="changes before"
    ),
    "tlast changes": Fault(
        wires={"m_axis_tlast": "u_last || (beats % 4 == 3 && !stalled && !m_axis_tready)"},
        found=("paused/pattern=stall", "changed"),
        bulk="changes before",
    ),
    "no tlast": Fault(wires={"m_axis_tlast": "0"}, found=("full_rate", "did not end"), bulk="m_axis_tlast is wrong"),
    "early tlast": Fault(
        wires={"m_axis_tlast": "u_last || beats == 10"}, found=("full_rate", "ends after"), bulk="m_axis_tlast is wrong"
    ),
    "late tlast": Fault(
        wires={"m_axis_tlast": "u_last && beats > 60"}, found=("full_rate", "ends after"), bulk="m_axis_tlast is wrong"
    ),
    "surplus": Fault(
        state="""
        reg more = 0;
        always @(posedge aclk) more <= aresetn && (more ? !m_axis_tready : u_valid && u_ready && u_last);""",
        wires={"m_axis_tvalid": "u_valid || more", "u_ready": "m_axis_tready && !more"},
        found=("lone_frames", "more output"),
        bulk="more output",
    ),
    "hang": Fault(
        wires={"m_axis_tvalid": "u_valid && beats < 50", "u_ready": "m_axis_tready && beats < 50"},
        found=("full_rate", "did not end"),
        bulk="nothing moves",
    ),
    "input not taken": Fault(
        wires={"s_axis_tready": "u_in_ready && beats < 50", "u_in_valid": "s_axis_tvalid && beats < 50"},
        found=("full_rate", "did not end"),
        bulk="nothing moves",
    ),
    "tail waits for the next frame": Fault(
        state="wire go = !u_last || s_axis_tvalid || stalled;",
        wires={"m_axis_tvalid": "u_valid && go", "u_ready": "m_axis_tready && go"},
        found=("lone_frames", "did not end"),
        bulk="nothing moves",
    ),
    "first output late": Fault(
        state="reg late = 0; always @(posedge aclk) late <= aresetn && (late || u_valid);",
        wires={"m_axis_tvalid": "u_valid && late", "u_ready": "m_axis_tready && late"},
        found=("full_rate", "first output latency"),
        bulk="first output latency",
    ),
    "frame late": Fault(
        state="""
        reg [4:0] rest = 0;
        always @(posedge aclk) rest <= u_valid && u_ready && u_last ? 31 : rest - (rest > 0);""",
        wires={
            "s_axis_tready": "u_in_ready && !rest",
            "u_in_valid": "s_axis_tvalid && !rest",
            "m_axis_tvalid": "u_valid && (!rest || stalled)",
            "u_ready": "m_axis_tready && (!rest || stalled)",
        },
        found=("full_rate", "frame cycles"),
        bulk="frame cycles",
    ),
    "reset ignored": Fault(wires={"u_resetn": "aresetn || running"}, found=("reset/moment=computing", ""), bulk=None),
    "output in reset": Fault(
        state="reg fresh = 0; always @(posedge aclk) fresh <= !aresetn;",
        wires={"m_axis_tvalid": "u_valid || fresh"},
        found=("full_rate", "straight after reset"),
        bulk="wrong or missing",
    ),
    "undefined data": Fault(
        wires={"m_axis_tdata": "beats == 40 ? {out_bits}'bx : u_data"}, found=("full_rate", "non-0/1"), bulk="undefined"
    ),
    "undefined handshake": Fault(
        wires={"m_axis_tvalid": "beats == 40 ? 1'bx : u_valid"}, found=("full_rate", "Logic('X')"), bulk="undefined"
    ),
}

NAME = "conv_1x1"


@cache
def sound() -> Core:
    return generate(named_case(NAME))


def plant(fault: Fault | None) -> Core:
    """The unit of `NAME` in a wrapper with ``fault``; None gives a wrapper that changes nothing."""
    core = sound()
    case = core.config
    widths = {
        "in_bits": 8 * Payload.of_input(case.layer.config, case.folding).bytes,
        "out_bits": 8 * Payload.of_output(case.layer.config, case.folding).bytes,
    }
    assigns = [f"    assign {wire} = {text};" for wire, text in (SOUND | (fault.wires if fault else {})).items()]
    body = "\n".join([fault.state if fault else "", *assigns])
    for width, value in widths.items():
        body = body.replace(f"{{{width}}}", str(value))
    verilog = core.verilog.replace("module xvolution(", "module sound(")
    assert verilog != core.verilog
    return dataclasses.replace(core, verilog=verilog + WRAPPER.format(body=body, **widths))


def exercised(core: Core, folder: Path, tests: str | None = None) -> dict[str, str | None]:
    verdicts = exercise(core, installed("icarus"), folder, tests=tests)
    return {name.removeprefix("sim.frozen.tests."): message for name, message in verdicts.items()}


def complaints(core: Core) -> list[str]:
    """The complaints of the bulk path, at full rate and then with pauses."""
    case = named_case(NAME)
    frames = random_frames(np.random.default_rng(1), case.layer.config, 6)
    result = simulate(core, frames, simulator=installed("icarus").name, idle=0.4, stall=0.4, calm=3)
    return result.complaints() + result.timing_complaints(core.manifest["timing"], 3)


def test_sound_wrapper_passes(tmp_path: Path) -> None:
    core = plant(None)
    assert not any(exercised(core, tmp_path).values())
    assert complaints(core) == []


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    core = plant(fault)
    test, word = fault.found
    message = exercised(core, tmp_path, rf"\.{re.escape(test)}$")[test]
    assert message is not None and word in message, message
    said = complaints(core)
    if fault.bulk is not None:
        assert any(fault.bulk in text for text in said), said
