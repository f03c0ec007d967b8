"""The bench that `golden.vectors` writes: as it is, it passes a right unit, and fails each wrong one."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden import vectors
from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_file import write_layer
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.network_file import write_network
from golden.contract.ports import ports
from golden.layers import DEFAULT, load_model
from golden.layers.random_layer import random_layer
from hw import build
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from sim.tests.support import installed
from tests.support.pages import blocks
from tests.support.places import ROOT
from tests.support.tiers import nightly, thorough

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")

FOLDING = Folding(simd=2, pe=1)
FRAMES = 3
WRONG_BEAT = re.compile(r"FAIL: beat \d+ of frame 0 is [0-9a-f]{4}, expected is [0-9a-f]{4}\n")
#: What is no unit: a module's body, and what the bench says of it where the sink never takes a beat.
STUBS = {
    "hangs": ("assign s_axis_tready = 0, m_axis_tvalid = 0;", "hangs after 0 of 36 output beats"),
    "unknown": ("assign s_axis_tready = 0, m_axis_tvalid = 1'bx;", "is undefined, at beat 0"),
    "changes": (
        "reg n = 0; always @(posedge aclk) n <= !n; assign s_axis_tready = 0, m_axis_tdata = n, m_axis_tvalid = 1;",
        "the output changes while it waits for TREADY",
    ),
    "drops": (
        "reg n = 0; always @(posedge aclk) n <= !n; assign s_axis_tready = 0, m_axis_tdata = 0, m_axis_tvalid = n;",
        "the output changes while it waits for TREADY",
    ),
}


def layer() -> Layer:
    """Beats that fill no byte, signs on both sides."""
    return random_layer(
        np.random.default_rng(1), in_channels=4, out_channels=1, height=3, width=4, in_bits=5, in_signed=True,
        out_bits=11, out_signed=True, relu=False,
    )  # fmt: skip


@cache
def right_unit(name: str = "xvolution") -> str:
    return generate(UnitConfig(layer=layer(), folding=FOLDING, name=name)).verilog


@cache
def wrong_unit() -> str:
    """The unit with the sign of one weight turned round."""
    weights = layer().conv_weight.copy()
    weights[np.unravel_index(np.abs(weights).argmax(), weights.shape)] *= -1
    return generate(UnitConfig(layer=dataclasses.replace(layer(), conv_weight=weights), folding=FOLDING)).verilog


def built(folder: Path, *options: str) -> str:
    """The Verilog of what `hw.build` makes of ``options``."""
    assert build.main([*options, "--out", str(folder / "rtl")]) == 0
    return (folder / "rtl" / "xvolution.v").read_text()


def write_bench(folder: Path, *options: str) -> None:
    write_layer(folder / "layer.npz", layer())
    chosen = ["--simd", str(FOLDING.simd), "--pe", str(FOLDING.pe), "--frames", str(FRAMES)]
    assert vectors.main([str(folder / "layer.npz"), "--out", str(folder), *chosen, *options]) == 0


def run(folder: Path, verilog: str, *options: str, plusargs: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit status and output of the bench in ``folder``, run there with ``verilog`` as the unit."""
    (folder / "unit.v").write_text(verilog)
    compile_bench = ["iverilog", "-Wall", "-Wno-timescale", *options, "-o", "bench", "testbench.v", "unit.v"]
    compiled = subprocess.run(compile_bench, cwd=folder, capture_output=True, text=True)
    assert (compiled.returncode, compiled.stderr) == (0, "")
    done = subprocess.run(["vvp", "-n", "bench", *plusargs], cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("pauses", [(), (0, 0), (250, 0), (0, 250)])
def test_a_right_unit_passes(pauses: tuple[int, ...], tmp_path: Path) -> None:
    write_bench(tmp_path, "--name", "stem")
    options = [f"-Pstem_testbench.{name}={p}" for name, p in zip(("IDLE", "STALL"), pauses, strict=False)]
    assert run(tmp_path, right_unit("stem"), *options) == (0, "PASS: 3 frames, 36 beats\n")


def test_the_bench_of_a_network_checks_its_ports(tmp_path: Path) -> None:
    """A network of one layer is that layer: the same streams."""
    image, _ = ports(layer())
    builder = NetworkBuilder(image)
    only = builder.append(LayerStep(name="only", inputs=(IMAGE,), layer=layer()))
    write_network(tmp_path / "network.npz", builder.network(only))
    options = ["--simd", str(FOLDING.simd), "--pe", str(FOLDING.pe), "--frames", str(FRAMES)]
    assert vectors.main([str(tmp_path / "network.npz"), "--out", str(tmp_path), *options]) == 0
    assert run(tmp_path, right_unit()) == (0, "PASS: 3 frames, 36 beats\n")
    assert WRONG_BEAT.match(run(tmp_path, wrong_unit())[1])


@thorough
def test_the_bench_of_a_whole_network(tmp_path: Path) -> None:
    """The default network, as both commands make it by default: right, with digits mixed up, and one that hangs."""
    assert vectors.main(["--out", str(tmp_path), "--frames", "1"]) == 0
    sound = built(tmp_path)
    assert run(tmp_path, sound) == (0, "PASS: 1 frames, 1 beats\n")

    digits = load_model(DEFAULT)
    assert isinstance(digits, IntegerNetwork)
    (head,) = (step for step in digits.steps if isinstance(step, Linear))
    mixed = dataclasses.replace(head, weight=head.weight[::-1], bias=head.bias[::-1])
    steps = tuple(mixed if step is head else step for step in digits.steps)
    write_network(tmp_path / "mixed.npz", dataclasses.replace(digits, steps=steps))
    right = int(np.load(tmp_path / "expected.npy").ravel()[0])
    status, said = run(tmp_path, built(tmp_path, str(tmp_path / "mixed.npz")))
    assert status == 1
    assert said.startswith(f"FAIL: beat 0 of frame 0 is {9 - right:02x}, expected is {right:02x}\n")

    verilog, count = re.subn(r"assign m_axis_tvalid = [^;]*;", "assign m_axis_tvalid = 0;", sound)
    status, said = run(tmp_path, verilog)
    assert count and status == 1 and said.startswith("FAIL: the network hangs after 0 of 1 output beats\n")


def test_the_bench_of_a_network_is_as_patient_as_its_work_is_long(tmp_path: Path) -> None:
    patience = {}
    for name in ("tiny", "digits"):
        assert vectors.main([name, "--out", str(tmp_path / name), "--frames", "1"]) == 0
        text = (tmp_path / name / "testbench.v").read_text()
        (number,) = re.findall(r"PATIENCE = (\d+);", text)
        patience[name] = int(number)
    # tiny: four cycles for each of the 2 beats that its 4 channels are.
    assert patience["tiny"] == 10_000 + 4 * 4 // 4
    # digits: its layers' channel pairs at each pixel, its pool, its head's weights, its argmax.
    assert patience["digits"] == 10_000 + 64 * 1 * 8 + 64 * 8 * 16 + 64 * 16 + 2560 + 10


def test_one_wrong_weight_is_noticed(tmp_path: Path) -> None:
    write_bench(tmp_path)
    status, said = run(tmp_path, wrong_unit())
    assert status == 1
    assert WRONG_BEAT.match(said)
    assert "PASS" not in said


@nightly
def test_one_wrong_weight_is_noticed_in_verilator(tmp_path: Path) -> None:
    """Compiled as docs/integration.md says, which runs a right unit."""
    installed("verilator")
    write_bench(tmp_path)
    (tmp_path / "xvolution.v").write_text(wrong_unit())
    (text,) = (block.text for block in blocks(ROOT / "docs" / "integration.md") if "verilator --binary" in block.text)
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line != "$ cd rtl"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = ["bash", "-c", "\n".join([*lines[:-1], "echo compiled", lines[-1]])]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert WRONG_BEAT.match(done.stdout.partition("compiled\n")[2]), done.stdout + done.stderr


@pytest.mark.parametrize("name", STUBS)
def test_what_is_no_unit_is_noticed(name: str, tmp_path: Path) -> None:
    write_bench(tmp_path)
    body, message = STUBS[name]
    inputs = "input aclk, aresetn, s_axis_tvalid, m_axis_tready, input [15:0] s_axis_tdata"
    outputs = "output s_axis_tready, m_axis_tvalid, m_axis_tlast, output [15:0] m_axis_tdata"
    text = f"module xvolution({inputs}, {outputs});\n{body}\nendmodule\n"
    status, said = run(tmp_path, text, "-Pxvolution_testbench.STALL=256")
    assert status == 1 and re.search(rf"^FAIL: .*{message}", said, re.MULTILINE), said


def test_surplus_and_tlast_are_noticed(tmp_path: Path) -> None:
    """A frame more than the bench expects; a bench that expects TLAST in mid-frame."""
    write_bench(tmp_path)
    bench = (tmp_path / "testbench.v").read_text()
    (tmp_path / "testbench.v").write_text(bench.replace("BEATS = 36;", "BEATS = 24;"))
    status, said = run(tmp_path, right_unit())
    assert status == 1 and said.startswith("FAIL: an output beat more than the 24 that are expected\n")
    (tmp_path / "testbench.v").write_text(bench.replace("FRAME_BEATS = 12;", "FRAME_BEATS = 6;"))
    status, said = run(tmp_path, right_unit())
    assert status == 1 and said.startswith("FAIL: TLAST is 0 with beat 5 of a frame of 6\n")


def test_vectors_in_another_folder(tmp_path: Path) -> None:
    write_bench(tmp_path)
    (tmp_path / "else where").mkdir()
    for name in ("input.hex", "expected.hex"):
        (tmp_path / name).rename(tmp_path / "else where" / name)
    assert run(tmp_path, right_unit(), plusargs=("+vectors=else where",))[0] == 0
    status, said = run(tmp_path, right_unit())
    assert status == 1 and said.startswith("FAIL: no input.hex and expected.hex in . (+vectors=DIR says")


@pytest.mark.parametrize("name", ["input.hex", "expected.hex"])
def test_vectors_that_are_cut_off_are_noticed(name: str, tmp_path: Path) -> None:
    write_bench(tmp_path)
    lines = (tmp_path / name).read_text().splitlines(keepends=True)
    (tmp_path / name).write_text("".join(lines[:-1]))
    status, said = run(tmp_path, right_unit())
    assert status == 1 and said.startswith("FAIL: ")
