"""``python -m hw.build``: two consistent files, or one line that says what is wrong and no file at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.bounds import stage_ranges
from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_file import read_layer, write_layer
from golden.contract.ranges import Range
from golden.contract.streams import Payload
from golden.layers import load_layer
from golden.layers.random_layer import random_layer
from golden.model import integer
from golden.support import cli
from hw import build
from hw.blocks.memory import dp16kd_layout
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from hw.plan.schedule import CycleModel
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS, Target
from sim.cases.stimulus import extreme_frames
from tests.support.places import UNIT_FILES
from tests.support.refusals import Refuse, refusal
from tests.support.tiers import nightly, thorough
from tests.support.units import STAGES, UNITS, changed, unit_shapes

TIMEOUT = 120
#: Memories of constants.
READ_ONLY = ("weights", "biases", "multipliers")


def saved(folder: Path, **fields: Any) -> str:
    """The file of a random layer; 4 -> 6 channels, 3x4 pixels where not said."""
    path = folder / "layer.npz"
    defaults = {"in_channels": 4, "out_channels": 6, "height": 3, "width": 4}
    write_layer(path, random_layer(np.random.default_rng(1), **(defaults | fields)))
    return str(path)


# --- what works ---


def test_writes_verilog_and_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert build.main(["tiny", "--simd", "1", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(UNIT_FILES)
    layer = load_layer("tiny")
    core = generate(UnitConfig(layer=layer, folding=Folding.choose(layer.config, simd=1)))
    assert (out / "xvolution.v").read_text() == core.verilog
    manifest = json.loads((out / "xvolution.json").read_text())
    files = manifest.pop("files")
    assert manifest == json.loads(json.dumps(core.manifest))
    others = set(UNIT_FILES) - {"xvolution.json"}
    assert files == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in others}
    shown = capsys.readouterr().out.replace("\n", "")
    assert str(out / "xvolution.v") in shown


def test_replaces_what_an_earlier_run_wrote(tmp_path: Path) -> None:
    for lanes in ("1", "2"):
        assert build.main(["tiny", "--simd", lanes, "--out", str(tmp_path)]) == 0
        manifest = json.loads((tmp_path / "xvolution.json").read_text())
        assert manifest["folding"]["simd"] == int(lanes)
        assert f"simd {lanes}," in (tmp_path / "xvolution.v").read_text()


@thorough
@pytest.mark.parametrize(("target", "primitive"), [("ecp5", "MULT18X18D"), ("xc7", "DSP48E1"), ("xcup", "DSP48E2")])
def test_builds_for_a_target(tmp_path: Path, target: str, primitive: str) -> None:
    counts = []
    for pack in ("auto", "none"):
        out = tmp_path / pack
        assert build.main(["tiny", "--target", target, "--pack", pack, "--out", str(out)]) == 0
        manifest = json.loads((out / "xvolution.json").read_text())
        assert manifest["target"]["name"] == target
        counts.append((out / "xvolution.v").read_text().count(f"\n  {primitive} "))
    assert 0 < counts[0] <= counts[1]
    if target == "xcup":
        assert counts[0] < counts[1]


def test_default_layer_and_folder_without_torch(tmp_path: Path) -> None:
    """As a user calls it on a machine without PyTorch: no arguments, in a process that cannot import it."""
    program = """
import sys
sys.modules["torch"] = None  # an import of it raises
from golden.support import cli
from hw import build
cli.run(build.main)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((tmp_path / "build" / "xvolution.json").read_text())["top"] == "xvolution"
    assert (tmp_path / "build" / "xvolution.v").read_text().count("\nmodule xvolution(") == 1


# --- the manifest ---


#: Units whose manifest is looked at.
LISTED = {
    name: UNITS[name] for name in ("same", "valid", "depthwise", "stride_2_odd", "sequential", "parallel", "plain_1x1")
}
LISTED |= {name: UNITS[name] for name in ("dynamic_head_is_a_beat", "dynamic_head_over_beats", "dynamic_plain")}
LISTED |= {"one_beat": UNITS["one_pixel"] | {"simd": 4}, "many_words": {"simd": 1, "pe": 1, "out_channels": 20}}


#: What they are built for: the target, and whether multipliers are shared.
BUILT_FOR = (("generic", True), ("ecp5", False), ("xcup", True))


def _manifests() -> list[Any]:
    """Each unit for each target. By day, the targets take turns, so that each has four units."""
    return [
        pytest.param(name, target, pack, marks=[] if number == order % len(BUILT_FOR) else [nightly])
        for order, name in enumerate(LISTED)
        for number, (target, pack) in enumerate(BUILT_FOR)
    ]


@pytest.mark.parametrize(("name", "target", "pack"), _manifests())
def test_manifest(name: str, target: str, pack: bool) -> None:
    signed = name in ("valid", "parallel", "dynamic_head_is_a_beat")
    fields = {"in_signed": signed, "out_bits": 9, "out_signed": signed, "relu": False, **LISTED[name]}
    unit = changed(unit_shapes(**fields), target=TARGETS[target], pack=pack)
    core = generate(unit.config)
    manifest = json.loads(json.dumps(core.manifest))
    sections = [
        "format",
        "top",
        "config",
        "layer",
        "folding",
        "target",
        "ports",
        "streams",
        "widths",
        "memories",
        "stages",
        "timing",
    ]
    assert sorted(manifest) == sorted(sections)
    check_identity(manifest, unit)
    check_streams(manifest, unit)
    check_widths(manifest["widths"], unit)
    check_memories(manifest["memories"], unit.target, core.verilog)
    check_timing(manifest, unit)


def check_identity(manifest: dict[str, Any], unit: Shapes) -> None:
    assert (manifest["format"], manifest["top"]) == (1, "xvolution")
    assert type(unit.layer.config).from_json(json.dumps(manifest["layer"])) == unit.layer.config
    assert manifest["folding"] == {"simd": unit.folding.simd, "pe": unit.folding.pe}
    assert manifest["target"] == {"name": unit.target.name, "packed": unit.plan.packed}


def check_streams(manifest: dict[str, Any], unit: Shapes) -> None:
    c = unit.layer.config
    beats = {
        "s_axis": c.height * c.width * c.in_channels // unit.folding.simd,
        "m_axis": c.out_height * c.out_width * c.out_channels // unit.folding.pe,
    }
    payloads = {
        "s_axis": Payload(lanes=unit.folding.simd, bits=c.in_bits, signed=c.in_signed),
        "m_axis": Payload(lanes=unit.folding.pe, bits=c.out_bits, signed=c.out_signed),
    }
    widths = {port["name"]: port["width"] for port in manifest["ports"]}
    for name, payload in payloads.items():
        assert manifest["streams"][name] == {
            "lanes": payload.lanes,
            "element_bits": payload.bits,
            "signed": payload.signed,
            "tdata_bits": 8 * payload.bytes,
            "beats_per_frame": beats[name],
        }
        assert widths.pop(f"{name}_tdata") == 8 * payload.bytes
    assert set(widths.values()) == {1}
    assert all(port["description"] for port in manifest["ports"])


def check_widths(widths: list[dict[str, Any]], unit: Shapes) -> None:
    c, proven = unit.layer.config, stage_ranges(unit.layer)
    ranges = {
        ("window", "x"): c.in_range,
        ("tap_macs", "conv_sum"): proven.conv_sum,
        ("tap_macs", "attn_sum"): proven.attn_sum,
        ("attention_combine", "combined"): proven.combined,
        ("channel_accumulate", "acc"): proven.accumulator,
        ("requantise", "scaled"): proven.scaled,
        ("requantise", "y"): c.out_range,
    }
    if not unit.geometry.attn_taps:
        del ranges["tap_macs", "attn_sum"]
    elif c.similarity is not None:
        ranges |= similarity_widths(unit)
    assert {(row["stage"], row["signal"]): Range(row["low"], row["high"]) for row in widths} == ranges
    for row in widths:
        formats = [Range.of_format(row["bits"], True), Range.of_format(row["bits"], False)]
        assert any(f.low <= row["low"] and row["high"] <= f.high for f in formats), row
        assert row["bound"]
    seen = integer.accumulate(unit.layer, extreme_frames(c))
    [acc] = [row for row in widths if row["signal"] == "acc"]
    assert acc["low"] <= seen.min() and seen.max() <= acc["high"]


def similarity_widths(unit: Shapes) -> dict[tuple[str, str], Range]:
    """Ranges of a ``dynamic`` unit, worst case by worst case."""
    c, g, form = unit.layer.config, unit.geometry, unit.layer.config.similarity
    assert form is not None
    low, high = c.in_range.low, c.in_range.high

    def extremes(weights: np.ndarray) -> Range:
        rows = weights.reshape(-1, weights.shape[-1])
        least = min(sum(min(w * low, w * high, 0) for w in row) for row in rows.tolist())
        most = max(sum(max(w * low, w * high, 0) for w in row) for row in rows.tolist())
        return Range(least, most)

    products = [
        (low * low, low * high, high * high) if any(c.attn_offsets[t]) else (0, low * low, high * high)
        for t in g.attn_taps
    ]
    sums = [Range(form.head_channels * min(p), form.head_channels * max(p)) for p in products]
    sims = [
        min(max(round(Fraction(end, 2**form.shift)), form.limits.low), form.limits.high)
        for s in sums
        for end in (s.low, s.high)
    ]
    group = math.gcd(form.head_channels, unit.folding.simd)
    conv = unit.layer.conv_weight.reshape(c.out_channels, c.in_channels, -1)[..., list(g.conv_taps)]
    attn = unit.layer.attn_weight[..., list(g.attn_taps)]
    heads = attn.reshape(c.out_channels, form.heads, form.head_channels, -1)
    return {
        ("similarity", "sum"): Range(min(s.low for s in sums), max(s.high for s in sums)),
        ("similarity", "sim"): Range(min(sims), max(sims)),
        ("tap_macs", "conv_sum"): extremes(conv.reshape(c.out_channels, c.in_channels // group, -1)),
        ("tap_macs", "attn_sum"): extremes(np.moveaxis(heads, 2, -1)),
        ("attention_combine", "combined"): stage_ranges(unit.layer).accumulator,
    }


def check_memories(memories: list[dict[str, Any]], target: Target, verilog: str) -> None:
    """Number and size of the memories, as the Verilog has them: as arrays, or of instances of block RAM."""
    blocks = [row for row in memories if is_of_blocks(row, target)]
    layouts = [(row, dp16kd_layout(row["depth"], row["width"], read_only=row["name"] in READ_ONLY)) for row in blocks]
    assert verilog.count("\n  DP16KD ") == sum(row["count"] * layout.blocks for row, layout in layouts)
    arrays = re.findall(r"^  reg \[(\d+):0\] (\w+) \[(\d+):0\];", verilog, re.MULTILINE)
    stage = {"slot": "row_store", "row": "window", "fifo": "output_stream", "gate_queue": "sequencer"}
    stage |= {"read_queue": "sequencer"}
    names = [re.sub(r"(_\d+)+$", "", name) for _, name, _ in arrays]
    found = sorted(
        (stage.get(name, name), int(last) + 1, int(msb) + 1) for name, (msb, _, last) in zip(names, arrays, strict=True)
    )
    arrays_left = [row for row in memories if row not in blocks]
    assert found == sorted(
        (row["name"], row["depth"], row["width"]) for row in arrays_left for _ in range(row["count"])
    )


def is_of_blocks(row: dict[str, Any], target: Target) -> bool:
    """Whether a memory is made of instances of block RAM; the pipeline's own memories never are."""
    if target.block_memory is None or row["name"] not in (*READ_ONLY, "row_store"):
        return False
    return row["depth"] > (target.rom_depth if row["name"] in READ_ONLY else target.ram_depth)


def check_timing(manifest: dict[str, Any], unit: Shapes) -> None:
    stages, timing, predicted = manifest["stages"], manifest["timing"], unit.schedule
    assert tuple(stages) == tuple(stage for stage in STAGES if stage != "similarity" or unit.heads)
    # The prediction's first issue waits for its beats to be written, which counts in the row store's latency too.
    pipeline = sum(stages.values()) - CycleModel.write_to_issue
    assert timing == {
        "predicted_latency": predicted.first_output_issue + pipeline,
        "predicted_frame_cycles": predicted.frame_cycles,
        "ideal_frame_cycles": unit.geometry.ideal_frame_cycles,
    }


# --- what is refused ---


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Build with arguments that must fail: exit code 2, one line, no file made or changed. Returns the line."""

    def files() -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}

    monkeypatch.chdir(tmp_path)
    return refusal(build.main, files, monkeypatch, capfd)


def test_refusal_in_a_process_of_its_own(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "hw.build", "tiny", "--simd", "3"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: simd 3 ") and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_unknown_target(refuse: Refuse) -> None:
    line = refuse("tiny", "--target", "xc8")
    assert "'xc8'" in line and "generic, ecp5, xc7, xcup" in line


def test_unknown_packing(refuse: Refuse) -> None:
    line = refuse("tiny", "--pack", "all")
    assert "'all'" in line and "auto" in line and "none" in line


@pytest.mark.parametrize("option", ["--products", "--requantise"])
def test_unknown_material(refuse: Refuse, option: str) -> None:
    line = refuse("tiny", option, "luts")
    assert "'luts'" in line and "dsp" in line and "adders" in line


def test_unknown_layer(refuse: Refuse) -> None:
    line = refuse("nosuch")
    assert "'nosuch'" in line and "tiny" in line and "digits" in line


@pytest.mark.parametrize("content", [b"", b"no archive\n" * 50, b"PK\x03\x04 cut off"], ids=["empty", "text", "zip"])
def test_corrupt_layer(refuse: Refuse, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "layer.npz"
    path.write_bytes(content)
    assert str(path) in refuse(str(path))


def test_truncated_layer(refuse: Refuse, tmp_path: Path) -> None:
    path = Path(saved(tmp_path))
    path.write_bytes(path.read_bytes()[:-100])
    assert str(path) in refuse(str(path))


def test_folder_as_layer(refuse: Refuse, tmp_path: Path) -> None:
    assert "directory" in refuse(str(tmp_path))


@pytest.mark.parametrize("value", ["3", "0", "-2", "8", "123456789012345678901234567890"])
@pytest.mark.parametrize("option", ["--simd", "--pe"])
def test_lanes_that_do_not_divide(refuse: Refuse, tmp_path: Path, option: str, value: str) -> None:
    name, channels, divisors = {
        "--simd": ("simd", "in_channels 4", "1, 2, 4"),
        "--pe": ("pe", "out_channels 4", "1, 2, 4"),
    }[option]
    line = refuse(saved(tmp_path, out_channels=4), option, value)
    assert f"{name} {value} " in line and channels in line and divisors in line


@pytest.mark.parametrize("value", ["1.5", "two", "", "1e1", "nan"])
@pytest.mark.parametrize("option", ["--simd", "--pe"])
def test_lanes_that_are_no_integer(refuse: Refuse, option: str, value: str) -> None:
    line = refuse("tiny", option, value)
    assert option in line and repr(value) in line


@pytest.mark.parametrize(("simd", "pe"), [("2", "1"), ("1", "4")])
def test_unequal_lanes_of_a_depthwise_layer(refuse: Refuse, tmp_path: Path, simd: str, pe: str) -> None:
    line = refuse(saved(tmp_path, out_channels=4, groups=4), "--simd", simd, "--pe", pe)
    assert f"pe {pe} " in line and f"simd {simd}" in line and "depthwise" in line


@pytest.mark.parametrize(("simd", "pe"), [(3, None), (None, 3)])
def test_lanes_of_a_depthwise_layer_that_do_not_divide(
    refuse: Refuse, tmp_path: Path, simd: int | None, pe: int | None
) -> None:
    option = ["--simd", "3"] if simd else ["--pe", "3"]
    assert "does not divide" in refuse(saved(tmp_path, out_channels=4, groups=4), *option)


#: Operands and weights of few bits, whose sums have more: those of channels, and those of heads at each tap.
PLAIN_1X1: dict[str, Any] = {"kernel": 1, "attn_offsets": ()}
MANY_HEADS: dict[str, Any] = {"kernel": 1, "product": "dynamic", "heads": 3072, "in_bits": 2, "weight_bits": 2}


@pytest.mark.parametrize(
    ("lanes", "fields"),
    [
        ("simd 4096", {"in_channels": 4096, "out_channels": 1, "simd": 4096, "pe": 1, "kernel": 3}),
        ("simd 3200", {"in_channels": 3200, "out_channels": 1, "simd": 3200, "pe": 1, **PLAIN_1X1}),
        ("simd 3072", {"in_channels": 3072, "out_channels": 1, "simd": 3072, "pe": 1, **MANY_HEADS}),
        ("pe 4096", {"in_channels": 1, "out_channels": 4096, "simd": 1, "pe": 4096, "out_bits": 16}),
    ],
)
def test_more_lanes_than_a_vector_holds(lanes: str, fields: dict[str, Any]) -> None:
    with pytest.raises(cli.UserError, match=rf"^{lanes} needs a vector of [\d,]+ bits, allowed are 65,535$"):
        unit_shapes(**fields)


def test_unknown_option(refuse: Refuse) -> None:
    assert "--lanes" in refuse("tiny", "--lanes", "4")


@pytest.mark.parametrize("option", ["--sim", "--o"])
def test_abbreviated_option(refuse: Refuse, option: str) -> None:
    assert option in refuse("tiny", option, "1")


def test_option_without_value(refuse: Refuse) -> None:
    assert "--out" in refuse("tiny", "--out")


def test_second_layer(refuse: Refuse) -> None:
    assert "digits" in refuse("tiny", "digits")


@pytest.mark.parametrize("below", ["", "folder"])
def test_output_folder_is_a_file(refuse: Refuse, tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("kept")
    out = str(tmp_path / "taken" / below)
    assert out in refuse("tiny", "--out", out)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_folder_is_read_only(refuse: Refuse, tmp_path: Path) -> None:
    out = tmp_path / "locked"
    out.mkdir(mode=0o555)
    assert f"{out} is not writable" in refuse("tiny", "--out", str(out))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no folders")
def test_output_folder_cannot_be_made(refuse: Refuse) -> None:
    assert "/proc/xvolution" in refuse("tiny", "--out", "/proc/xvolution")


@pytest.mark.parametrize("name", UNIT_FILES)
def test_neither_file_where_one_cannot_be_written(refuse: Refuse, tmp_path: Path, name: str) -> None:
    (tmp_path / "build" / name).mkdir(parents=True)
    assert name in refuse("tiny")


def test_layer_file_is_only_read(tmp_path: Path) -> None:
    path = Path(saved(tmp_path))
    before = path.read_bytes()
    assert build.main([str(path), "--out", str(tmp_path / "out")]) == 0
    assert path.read_bytes() == before
    layer: Layer = read_layer(path)
    manifest = json.loads((tmp_path / "out" / "xvolution.json").read_text())
    assert manifest["folding"] == {"simd": 4, "pe": 3}, "the largest divisors up to 4"
    assert manifest["layer"] == json.loads(layer.config.to_json())


@pytest.mark.parametrize(("pack", "packed", "multipliers"), [("auto", True, "11"), ("none", False, "19")])
def test_target_and_packing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pack: str, packed: bool, multipliers: str
) -> None:
    path = saved(tmp_path, in_signed=True, out_channels=1, weight_bits=4, in_bits=4, height=8, width=8)
    options = ["--target", "xcup", "--pack", pack, "--simd", "1", "--pe", "1"]
    assert build.main([path, *options, "--out", str(tmp_path / "out")]) == 0
    manifest = json.loads((tmp_path / "out" / "xvolution.json").read_text())
    assert manifest["target"] == {"name": "xcup", "packed": packed}
    shown = capsys.readouterr().out
    assert "xcup" in shown and f"{multipliers}:" in shown
    assert (tmp_path / "out" / "xvolution.v").read_text().count("DSP48E2 #(") == int(multipliers)
