"""What counts as what, which stage owns it, and what surrounds it: on netlists small enough to count by hand."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from golden.contract.costs import useful_macs
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.layer import LayerStep
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.result import Result
from golden.layers import load_layer
from golden.layers.random_layer import random_layer
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.synth.critical_path import critical_path
from hw.synth.harness import PIN_IN, PIN_OUT, PREFIX, harnessed
from hw.synth.netlist import Netlist
from hw.synth.parts import ATTRIBUTE, cell_parts
from hw.synth.performance import Performance
from hw.synth.resources import area, area_of_parts, total_area
from hw.synth.stages import STAGES, UnitStages
from hw.synth.steps import BETWEEN, NetworkSteps
from hw.targets.area import Area
from tests.support.netlists import cell, netlist

# --- counting ---


@pytest.mark.parametrize(
    ("kinds", "counted"),
    [
        (["LUT4"] * 3 + ["CCU2C", "PFUMX", "L6MUX21"], Area(lut=5)),
        (["TRELLIS_DPR16X4"], Area(lut=6)),
        (["TRELLIS_FF", "TRELLIS_FF"], Area(ff=2)),
        (["MULT18X18D", "DP16KD", "PDPW16KD"], Area(dsp=1, bram=2)),
        ([f"LUT{n}" for n in range(1, 7)] + ["LUT6_2", "INV", "CARRY4", "CARRY8", "MUXF7", "MUXF8"], Area(lut=7)),
        (["SRL16E", "SRLC32E"], Area(lut=2)),
        (["RAM32M", "RAM64M", "RAM32M16", "RAM64M8"], Area(lut=24)),
        (["RAM32X1D", "RAM64X1D", "RAM128X1D", "RAM64X1S"], Area(lut=9)),
        (["FDRE", "FDSE", "FDCE", "FDPE"], Area(ff=4)),
        (["DSP48E1", "DSP48E2"], Area(dsp=2)),
        (["RAMB36E1", "RAMB18E1", "RAMB36E2", "RAMB18E2"], Area(bram=3)),
        ([], Area()),
    ],
)
def test_counts(kinds: list[str], counted: Area) -> None:
    assert area(kinds) == counted


def test_unknown_cells_are_not_free() -> None:
    with pytest.raises(ValueError, match="ALU54B"):
        area(["LUT4", "ALU54B"])


# --- stages ---


@pytest.mark.parametrize(
    ("module", "stage"),
    [
        ("xvolution", "top"),
        ("xvolution_lane", "top"),
        ("xvolution_lane_tap_macs", "tap_macs"),
        ("xvolution_lane_requantise_1", "requantise"),
        ("xvolution_sequencer_input_walk", "sequencer"),
        ("xvolution_weights_weights_0", "weight_store"),
        ("xvolution_biases", "weight_store"),
        ("xvolution_multipliers", "weight_store"),
        ("xvolution_output_stream", "output_stream"),
        ("xvolution_windowless", "top"),
    ],
)
def test_stage_of_module(module: str, stage: str) -> None:
    assert UnitStages("xvolution").of_module(module) == stage
    assert stage in STAGES


@functools.cache
def steps() -> NetworkSteps:
    """Steps ``a`` (two pools) and ``a_b`` (a unit)."""
    builder = NetworkBuilder(Result(channels=2, height=4, width=4, bits=6, signed=True))
    builder.append(MaxPool(name="a", inputs=("input",), kernel=2, stride=2, pad=0))
    sizes = {"in_channels": 2, "out_channels": 2, "height": 2, "width": 2, "in_bits": 6, "in_signed": True}
    layer = random_layer(np.random.default_rng(1), **sizes)
    network = builder.network(builder.append(LayerStep(name="a_b", inputs=("a",), layer=layer)))
    return NetworkSteps(NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 1), name="net")))


@pytest.mark.parametrize(
    ("module", "step"),
    [
        ("net", BETWEEN),
        ("net_0_a_columns", "a"),
        ("net_1_a_rows_queue_0", "a"),
        ("net_2_a_b", "a_b"),
        ("net_2_a_b_lane_tap_macs", "a_b"),
        ("net_fork_0", BETWEEN),
        ("net_fifo_2_0_queue", BETWEEN),
        ("net_0_a_columnsless", BETWEEN),
    ],
)
def test_step_of_module(module: str, step: str) -> None:
    assert steps().of_module(module) == step
    assert step in steps().names


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("\\2_a_b_unit.lane_0.tap_macs.sum[3]", "a_b"),
        ("$flatten\\0_a_columns.$add$unit.v:3$1", "a"),
        ("1_a_rows.queue_0.i_0__payload", "a"),
        ("fork_0.done[1]", BETWEEN),
        ("fifo_2_0.queue.level", BETWEEN),
        # What drives an input belongs elsewhere, and so does what a tool or the top has named.
        ("2_a_b_unit.s_axis_tdata[1]", None),
        ("0_a_columns.i_0__payload[3]", None),
        ("0_a_columns.o_0__ready", None),
        ("fork_0.i__valid", None),
        ("$auto$ff.cc:337:slice$10211", None),
        ("2_a_b_unit_in[2]", None),
    ],
)
def test_step_of_name(name: str, step: str | None) -> None:
    assert steps().of_name(name) == step


def small_unit() -> Netlist:
    """``a`` in tap_macs through two LUTs into ``acc``, whose net bears only the next stage's name."""
    return netlist(
        {
            "$ff$a": cell("TRELLIS_FF", {"CLK": 1, "DI": 2}, {"Q": 3}, **{ATTRIBUTE: "tap_macs"}),
            "$lut$1": cell("LUT4", {"A": 3, "B": "0"}, {"Z": 4}),
            "$lut$2": cell("LUT4", {"A": 4, "B": 6}, {"Z": 5}),
            "$ff$acc": cell("TRELLIS_FF", {"CLK": 1, "DI": 5}, {"Q": 6}, **{ATTRIBUTE: "channel_accumulate"}),
            "$lut$named": cell("LUT4", {"A": 6}, {"Z": 7}),
            "lane_0.requantise.U$0": cell("MULT18X18D", {"A0": 7}, {"P0": 8}),
            "$flatten\\weights.\\weights_0.$mul$3": cell("MULT18X18D", {"A0": 3}, {"P0": 9}),
            "$lut$out": cell("LUT4", {"A": 8}, {"Z": 10}),
            "$lut$dead": cell("LUT4", {"A": 9}, {"Z": 11}),
        },
        {
            "lane_0.tap_macs.a": [3],
            "lane_0.requantise.i_acc": [6],
            "lane_0.attention_combine.scaled": [99, 7],
            "clk": [1],
        },
        {"$5": [5], "lane_0.window.never": [4]},
        aclk=("input", [1]),
        s_axis_tdata=("input", [2]),
        m_axis_tdata=("output", [10, "0"]),
    )


def test_stages_of_cells() -> None:
    assert cell_parts(small_unit(), UnitStages("xvolution")) == {
        "$ff$a": "tap_macs",  # its attribute
        "$lut$1": "channel_accumulate",  # two cells forward; names that tools gave do not count
        "$lut$2": "channel_accumulate",
        "$ff$acc": "channel_accumulate",
        "$lut$named": "attention_combine",  # the net that it drives
        "lane_0.requantise.U$0": "requantise",  # its name
        "$flatten\\weights.\\weights_0.$mul$3": "weight_store",
        "$lut$out": "top",  # drives a port
        "$lut$dead": "top",
    }


def test_a_stages_input_does_not_name_its_driver() -> None:
    """A LUT whose only name is the input of requantise belongs forward of it, not there."""
    unit = netlist(
        {
            "$lut": cell("LUT4", {"A": 1}, {"Z": 2}),
            "$ff": cell("TRELLIS_FF", {"DI": 2}, {"Q": 3}, **{ATTRIBUTE: "output_stream"}),
        },
        {"lane_0.requantise.i_acc": [2]},
    )
    assert cell_parts(unit, UnitStages("xvolution"))["$lut"] == "output_stream"


def test_area_of_stages() -> None:
    stages = area_of_parts(small_unit(), UnitStages("xvolution"))
    assert tuple(stages) == STAGES
    assert stages["channel_accumulate"] == Area(lut=2, ff=1)
    assert stages["requantise"] == Area(dsp=1)
    assert sum(stages.values(), Area()) == total_area(small_unit()) == Area(lut=5, ff=2, dsp=2)


# --- the harness ---


def test_harness() -> None:
    """Registers before each input and behind each output, and never more than one LUT between two of them."""
    unit = small_unit()
    whole = harnessed(unit)
    assert list(whole.module["ports"]) == ["aclk", PIN_IN, PIN_OUT]
    assert {name: content for name, content in whole.cells.items() if not name.startswith(PREFIX)} == unit.cells

    def kind(net: int) -> str:
        return whole.cells[whole.driver[net]]["type"]

    def source(net: int, port: str) -> Any:
        return whole.cells[whole.driver[net]]["connections"][port][0]

    # Backward from the unit's input to the pin: two registers, and the one link of the shift register.
    before, link = source(2, "DI"), source(source(2, "DI"), "DI")
    assert kind(2) == kind(before) == kind(link) == "TRELLIS_FF"
    assert source(link, "DI") == whole.module["ports"][PIN_IN]["bits"][0]
    # Backward from the pin to the unit's output: the signature register, its one LUT, two registers.
    signature = whole.module["ports"][PIN_OUT]["bits"][0]
    mixed = source(signature, "DI")
    assert (kind(signature), kind(mixed)) == ("TRELLIS_FF", "LUT4")
    assert source(source(source(mixed, "B"), "DI"), "DI") == 10
    added = [content for name, content in whole.cells.items() if name.startswith(PREFIX)]
    assert sorted(content["type"] for content in added) == ["LUT4"] + ["TRELLIS_FF"] * 6, "padding has no register"
    assert all(content["connections"]["CLK"] == [1] for content in added if content["type"] == "TRELLIS_FF")


def test_the_way_of_a_network_to_the_pins() -> None:
    """So many further registers in a row at each pin, and nothing else."""
    short, long = harnessed(small_unit()), harnessed(small_unit(), way=3)
    kinds = Counter(content["type"] for content in long.cells.values())
    assert kinds - Counter(content["type"] for content in short.cells.values()) == {"TRELLIS_FF": 6}
    net, sinks = long.module["ports"][PIN_IN]["bits"][0], []
    for _ in range(4):
        (sink,) = [content for content in long.cells.values() if content["connections"].get("DI") == [net]]
        sinks.append(sink)
        (net,) = sink["connections"]["Q"]
    net = long.module["ports"][PIN_OUT]["bits"][0]
    drivers = []
    for _ in range(4):
        drivers.append(long.cells[long.driver[net]])
        net = drivers[-1]["connections"]["DI"][0]
    assert long.cells[long.driver[net]]["type"] == "LUT4", "the signature's own register is the last of the row"
    assert all(cell["type"] == "TRELLIS_FF" for cell in sinks + drivers)


# --- the critical path ---


def segment(kind: str, delay: float, start: str, end: str) -> dict[str, Any]:
    return {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}


def test_critical_path() -> None:
    segments = [
        segment("clk-to-q", 0.5, "$ff$a", "$ff$a"),
        segment("routing", 1.25, "$ff$a", "$lut$1$CCU2_COMB0"),
        segment("logic", 0.25, "$lut$1$CCU2_COMB0", "$lut$1$CCU2_COMB0"),
        segment("routing", 0.75, "$lut$1$CCU2_COMB0", "$added_by_nextpnr"),
        segment("routing", 0.0, "$added_by_nextpnr", "$lut$2"),
        segment("logic", 0.25, "$lut$2", "$lut$2"),
        segment("routing", 1.0, "$lut$2", "$ff$acc"),
        segment("setup", 0.5, "$ff$acc", "$ff$acc"),
    ]
    path = critical_path(segments, small_unit(), UnitStages("xvolution"))
    assert path.stages == ["tap_macs", "channel_accumulate"]
    assert (path.start, path.end) == ("lane_0.tap_macs.a", "lane_0.requantise.i_acc")
    assert (path.cells, path.logic_ns, path.routing_ns, path.delay_ns) == (4, 1.5, 3.0, 4.5)


def test_critical_path_in_the_harness() -> None:
    segments = [segment("routing", 1.0, f"{PREFIX}ff_12", "lane_0.requantise.U$0")]
    path = critical_path(segments, small_unit(), UnitStages("xvolution"))
    assert path.stages == ["harness", "requantise"]
    assert (path.start, path.end) == (f"{PREFIX}ff_12", "lane_0.requantise.U$0")


# --- useful work ---


def test_useful_macs() -> None:
    def macs(**fields: Any) -> int:
        defaults = {"in_channels": 4, "out_channels": 6, "height": 5, "width": 7, "attn_offsets": ()}
        return useful_macs(random_layer(np.random.default_rng(0), **(defaults | fields)).config)

    assert macs() == 9 * 4 * 6 * 35
    assert macs(attn_offsets=((0, 1), (1, 0))) == (9 + 2 + 1) * 4 * 6 * 35
    assert macs(stride=2) == 9 * 4 * 6 * (3 * 4)
    assert macs(padding="valid", kernel=1) == 4 * 6 * 35
    assert macs(groups=4, out_channels=4) == 9 * 4 * 35
    config = load_layer("digits_layer").config
    assert useful_macs(config) == (9 + 8 + 1) * 16 * 16 * 64


def test_performance() -> None:
    figures = Performance(macs=1200, frame_cycles=100, dsp=6, fmax_mhz=200.0)
    assert figures.dsp_efficiency == 2.0
    assert figures.frames_per_second == 2e6
    assert figures.gmacs_per_second == pytest.approx(2.4)
    unplaced = Performance(macs=1200, frame_cycles=100, dsp=0, fmax_mhz=None)
    assert (unplaced.dsp_efficiency, unplaced.frames_per_second, unplaced.gmacs_per_second) == (None, None, None)
