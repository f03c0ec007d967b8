"""``--reloadable``: what is written beside the Verilog, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.layer_file import write_layer
from golden.contract.ranges import Range
from golden.layers import load_layer
from golden.layers.random_layer import random_layer
from hw import build
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import image_beats, weight_image
from tests.support.front_end import reloadable
from tests.support.places import UNIT_FILES
from tests.support.refusals import Refuse, refusal
from tests.support.tiers import thorough, thorough_from
from tests.support.units import UNITS, unit_shapes

REGISTER_FILES = ("xvolution.h", "xvolution.rdl", "xvolution_registers.md", "xvolution_registers.html")


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Build with arguments that must fail and leave no file; returns the line."""
    monkeypatch.chdir(tmp_path)
    return refusal(build.main, lambda: list(tmp_path.rglob("*.v")), monkeypatch, capfd)


@thorough
def test_a_later_build_removes_what_it_does_not_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A C header of registers that the unit no longer has would mislead; files of others and changed ones stay."""
    out = ["--out", str(tmp_path)]
    assert build.main(["tiny", "--reloadable", *out]) == 0
    assert build.main(["tiny", "--name", "stem", *out]) == 0
    (tmp_path / "mine.h").write_text("mine")
    with (tmp_path / "xvolution.h").open("a") as header:
        header.write("// changed\n")
    capsys.readouterr()
    assert build.main(["tiny", *out]) == 0
    gone, changed = set(REGISTER_FILES) - {"xvolution.h"}, {"xvolution.h"}
    there = {path.name for path in tmp_path.iterdir()}
    assert there >= {*UNIT_FILES, "mine.h", "stem.v", "stem.json", *changed} and not there & gone
    said = capsys.readouterr().out
    assert "removed, as this unit has none: xvolution.rdl, xvolution_registers.md, xvolution_registers.html\n" in said
    assert "left, as they were changed since the last build: xvolution.h\n" in said
    assert build.main(["tiny", *out]) == 0
    assert "removed" not in capsys.readouterr().out


FOREIGN = ('{"../mine": DIGEST}', '{"folder": DIGEST}', '{"link": DIGEST}', "[1]", '"mine"', "")


@pytest.mark.parametrize("files", thorough_from(FOREIGN, 1))
def test_only_plain_files_of_this_folder_are_removed(tmp_path: Path, files: str) -> None:
    """A manifest is a file like any other: what it says is not trusted."""
    out = tmp_path / "out"
    (out / "folder").mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    (out / "link").symlink_to("../mine")
    digest = json.dumps(hashlib.sha256(b"mine").hexdigest())
    (out / "xvolution.json").write_text(f'{{"files": {files.replace("DIGEST", digest)}}}')
    assert build.main(["tiny", "--out", str(out)]) == 0
    assert (tmp_path / "mine").exists() and (out / "folder").is_dir() and (out / "link").is_symlink()


@thorough
def test_writes_the_register_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["tiny", "--reloadable", "--single-buffered", "--attn-shift", "0:9", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*UNIT_FILES, *REGISTER_FILES])
    layer = load_layer("tiny")
    reload = Reload(attn_shift=Range(0, 9), out_shift=Range(0, 47), single_buffered=True)
    core = generate(UnitConfig(layer=layer, folding=Folding.choose(layer.config), reload=reload))
    assert (tmp_path / "xvolution.v").read_text() == core.verilog
    manifest = json.loads((tmp_path / "xvolution.json").read_text())
    assert manifest["reload"] == {
        "height": [1, layer.config.height],
        "width": [1, layer.config.width],
        "attn_shift": [0, 9],
        "out_shift": [0, 47],
        "single_buffered": True,
        "weight_image_beats": image_beats(Shapes(core.config)),
    }
    assert "one set of weights" in capsys.readouterr().out
    (tmp_path / "test.c").write_text(
        '#include "xvolution.h"\nint main(void) { return XVOLUTION_HEIGHT_OFFSET != 0x40; }\n'
    )
    subprocess.run(["cc", "-Wall", "-Werror", "-o", tmp_path / "test", tmp_path / "test.c"], check=True)
    assert subprocess.run([tmp_path / "test"]).returncode == 0


@thorough
def test_ports_of_the_manifest_are_those_of_the_verilog(tmp_path: Path) -> None:
    assert build.main(["tiny", "--reloadable", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "xvolution.v").read_text()
    own = re.search(r"module xvolution\((.*?)\);", text, re.DOTALL)
    assert own is not None
    names = {name.strip() for name in own[1].split(",")}
    ports = json.loads((tmp_path / "xvolution.json").read_text())["ports"]
    assert {port["name"] for port in ports} == names
    assert {"s_axi_awaddr", "s_axis_weights_tlast", "s_axis_tlast", "m_axis_tuser"} <= names
    for port in ports:
        width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert re.search(rf"^  {port['direction']} {re.escape(width)}{port['name']};$", text, re.MULTILINE), port


def test_a_frozen_unit_has_nothing_of_it(tmp_path: Path) -> None:
    assert build.main(["tiny", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "xvolution.v").read_text()
    assert not re.search(r"s_axi_|weights_t|tuser|control|frame_(sets|walk|writer)", text)
    assert "reload" not in json.loads((tmp_path / "xvolution.json").read_text())


@pytest.mark.parametrize("name", UNITS)
def test_same_hardware_for_any_layer_of_the_formats(name: str) -> None:
    """Widths, packing and image size follow from formats: two layers' units differ in nothing."""
    for target in ("ecp5", "xcup"):
        one, other = (reloadable(unit_shapes(seed, target=target, attn_shift=3, **UNITS[name])) for seed in (1, 2))
        assert one.ranges == other.ranges
        assert one.plan == other.plan
        assert len(weight_image(one)) == len(weight_image(other)) == image_beats(one)


@pytest.mark.parametrize("option", ["--single-buffered", "--attn-shift=0:3", "--out-shift=0:9"])
def test_options_of_reloadable_units_only(refuse: Refuse, option: str) -> None:
    assert refuse("tiny", option) == f"error: {option.partition('=')[0]} needs --reloadable\n"


@pytest.mark.parametrize("value", ["3", "3:2", "0:16", "-1:3", "a:b", "0:99", ":", ""])
def test_limits_that_are_none(refuse: Refuse, value: str) -> None:
    message = refuse("tiny", "--reloadable", f"--attn-shift={value}")
    assert f"{value!r} is not LOW:HIGH with 0 <= LOW <= HIGH <= 15" in message


@pytest.mark.parametrize(("option", "name"), [("--attn-shift", "attn_shift"), ("--out-shift", "out_shift")])
def test_limits_that_leave_out_the_layer(refuse: Refuse, option: str, name: str) -> None:
    value = getattr(load_layer("tiny").config, name)
    limits = f"{value + 1}:{value + 2}"
    message = refuse("tiny", "--reloadable", option, limits)
    assert message == f"error: {name} {value} of the layer is not among those of the unit, {value + 1} to {value + 2}\n"


def test_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What both kinds of unit have is estimated alike; the weights' memories and the control plane come on top."""
    monkeypatch.chdir(tmp_path)
    amounts = []
    for options in ([], ["--reloadable"]):
        assert build.main(["digits_layer", "--simd", "1", "--pe", "1", "--target", "ecp5", "--estimate", *options]) == 0
        rows = re.findall(r"(LUT|DSP|BRAM) +│ (?:about )?([\d,]+)", capsys.readouterr().out)
        amounts.append({name: int(amount.replace(",", "")) for name, amount in rows})
    frozen, reloadable = amounts
    assert not list(tmp_path.iterdir())
    assert frozen["DSP"] == reloadable["DSP"] == 20
    assert reloadable["BRAM"] > frozen["BRAM"] and reloadable["LUT"] > frozen["LUT"] + 1000


def test_a_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = ["--device", "ecp5-25f", "--fps", "10000", "--reloadable", "--estimate"]
    assert build.main(["tiny", *wish]) == 0
    assert "asked for 10,000" in capsys.readouterr().out


def test_accumulators_too_wide_for_any_weights(refuse: Refuse, tmp_path: Path) -> None:
    """A layer whose own weights are small enough, in a format whose largest are not."""
    fields = {"in_channels": 4096, "out_channels": 1, "height": 1, "width": 1, "attn_shift": 15, "kernel": 7}
    layer = random_layer(np.random.default_rng(1), attn_offsets=(), **fields)
    small = type(layer)(
        config=layer.config,
        conv_weight=np.sign(layer.conv_weight),
        attn_weight=layer.attn_weight,
        bias=layer.bias,
        multiplier=layer.multiplier,
    )
    write_layer(tmp_path / "wide.npz", small)
    message = refuse(str(tmp_path / "wide.npz"), "--reloadable", "--attn-shift", "0:15")
    limits = r"attn_shift 15 lets \|acc\| reach \d+ with any weights, allowed is less than 2\^47"
    assert re.fullmatch(rf"error: {limits}\n", message)
