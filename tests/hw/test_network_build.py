"""``python -m hw.build NETWORK``: options, folding files, and the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from golden.contract.network.add import Add
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.network_file import write_network
from golden.contract.network.result import Result
from golden.layers import load_model
from golden.support import cli
from hw import build
from hw.export.network_verilog import generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.nodes.unit import UnitNode
from hw.network.plan import NetworkPlan
from hw.options import add_unit_options, folding_text, hardware
from hw.plan.dsp_count import dsp_counts
from tests.support.foul import small_network
from tests.support.refusals import Refuse, refusal

FOLDING = {"simd": 1, "pe": 1}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "net.npz"
    write_network(path, small_network())
    return path


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Build with arguments that must fail and leave no file; returns the line."""
    monkeypatch.chdir(tmp_path)
    return refusal(build.main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capfd)


def foldings() -> dict[str, Any]:
    return {step.name: dict(FOLDING) for step in small_network().steps}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--simd", "2"], "--simd 2 is for a layer, a network has --lanes, --cycles and --folding"),
        (["--pe", "2"], "--pe 2 is for a layer, a network has --lanes, --cycles and --folding"),
        (["--reloadable"], "--reloadable is for a layer, the weights of a network are built in"),
        (["--single-buffered"], "--single-buffered needs --reloadable"),
        (["--attn-shift", "0:3"], "--attn-shift needs --reloadable"),
        (["--out-shift", "0:9"], "--out-shift needs --reloadable"),
        (["--device", "ecp5-85f", "--target", "xcup"], "target xcup is not that of ecp5-85f, which is ecp5"),
        (["--mhz", "100"], "--mhz 100 needs --fps or --fastest"),
        (["--lanes", "2", "--cycles", "900"], "--lanes and --cycles do not go together, each chooses the folding"),
        (
            ["--device", "k26", "--fastest", "--lanes", "2"],
            "--lanes and --fastest do not go together, each chooses the folding",
        ),
        (
            ["--device", "k26", "--fps", "9", "--folding", "f"],
            "--folding and --fps do not go together, each chooses the folding",
        ),
        (["--lanes", "2", "--folding", "f"], "--lanes and --folding do not go together, each chooses the folding"),
    ],
)
def test_options_that_do_not_go_with_a_network(refuse: Refuse, network: Path, options: list[str], said: str) -> None:
    assert refuse(str(network), *options) == f"error: {said}\n"


@pytest.mark.parametrize(
    "options", [["--lanes", "2"], ["--cycles", "99"], ["--folding", "f"], ["--write-folding", "f"], ["--picture", "p"]]
)
def test_options_that_do_not_go_with_a_layer(refuse: Refuse, options: list[str]) -> None:
    assert refuse("tiny", *options).startswith(f"error: {options[0]} {options[1]} is for a network")


def test_a_step_that_takes_longer_is_named(refuse: Refuse, network: Path) -> None:
    line = refuse(str(network), "--cycles", "1")
    assert line.startswith("error: step 'step") and line.endswith("asked for are 1\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nosuch": FOLDING}, "folding of 'nosuch': the network has no such step, steps are step0"),
        ({"step0": None}, "step 'step0': it has no folding, every step needs one"),
        ({"step0": {"simd": 1}}, "step 'step0': {'simd': 1} is not a folding, allowed is"),
        ({"step0": {"simd": 1, "pe": True}}, "step 'step0': {'pe': True, 'simd': 1} is not a folding, allowed is"),
        ({"step0": {"simd": 0, "pe": 1}}, "step 'step0': {'pe': 1, 'simd': 0} is not a folding, allowed is"),
        (
            {"step0": FOLDING | {"products": "luts"}},
            "step 'step0': {'pe': 1, 'products': 'luts', 'simd': 1} is not a folding",
        ),
        ({"step0": FOLDING | {"requantise": None}}, "step 'step0': {'pe': 1, 'requantise': None, 'simd': 1} is not a"),
        ({"step0": FOLDING | {"lanes": 2}}, "step 'step0': {'lanes': 2, 'pe': 1, 'simd': 1} is not a folding"),
        ({"step0": {"simd": 97, "pe": 1}}, "step 'step0': simd 97 does not divide"),
        ({"step0": {"simd": 1, "pe": 97}}, "step 'step0': pe 97 does not divide"),
    ],
)
def test_folding_files_that_are_refused(
    refuse: Refuse, network: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file = tmp_path / "folding.json"
    fields = {name: folding for name, folding in {**foldings(), **change}.items() if folding is not None}
    file.write_text(json.dumps(fields))
    assert refuse(str(network), "--folding", str(file)).startswith(f"error: folding file {file}: {said}")


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"step0": {"simd": 1, "pe": 1}, "step0": {"simd": 1, "pe": 1}}', "\ud800"]
)
def test_folding_files_that_are_no_object(refuse: Refuse, network: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "folding.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    assert refuse(str(network), "--folding", str(file)).startswith(f"error: folding file {file}: ")


def test_a_network_is_called_a_network(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)]
    assert build.main(["tiny", "--reloadable", *out]) == 0
    (tmp_path / "xvolution.h").unlink()
    assert build.main([str(network), *out]) == 0
    gone = "xvolution.rdl, xvolution_registers.md, xvolution_registers.html"
    assert f"removed, as this network has none: {gone}\n" in capsys.readouterr().out
    assert "<spirit:description>X-volution network for target generic" in (tmp_path / "component.xml").read_text()
    assert "display_name {X-volution network} $core" in (tmp_path / "package_ip.tcl").read_text()
    assert "description: X-volution network of" in (tmp_path / "xvolution.core").read_text()


def test_manifest_and_the_way_back_of_a_folding(network: Path, tmp_path: Path) -> None:
    """What ``--write-folding`` writes gives the same Verilog, from a folder whose name has a space."""
    first, second, file = tmp_path / "a b", tmp_path / "c", tmp_path / "f g.json"
    assert build.main([str(network), "--lanes", "3", "--out", str(first), "--write-folding", str(file)]) == 0
    assert build.main([str(network), "--folding", str(file), "--out", str(second)]) == 0
    assert (first / "xvolution.v").read_bytes() == (second / "xvolution.v").read_bytes()

    manifest, asked = json.loads((first / "xvolution.json").read_text()), json.loads(file.read_text())
    model = small_network()
    assert [step["name"] for step in manifest["steps"]] == [step.name for step in model.steps]
    for entry, step in zip(manifest["steps"], model.steps, strict=True):
        assert {"simd": entry["simd"], "pe": entry["pe"]} == asked[step.name]
        assert entry["op"] == step.op and entry["cycles"] >= entry["ideal_cycles"] >= 1
        result = model.results[step.name]
        assert entry["result"] == {"shape": list(result.shape), "bits": result.bits, "signed": result.signed}
        # Each side has the largest divisor of its channels up to 3.
        assert entry["pe"] == max(lanes for lanes in (1, 2, 3) if result.channels % lanes == 0)
    timing = manifest["timing"]
    slowest = max(step["ideal_cycles"] for step in manifest["steps"])
    ports = manifest["streams"]["s_axis"]["beats_per_frame"], manifest["streams"]["m_axis"]["beats_per_frame"]
    assert timing["ideal_frame_cycles"] == max(slowest, *ports)
    takers = [(edge["to"], edge["input"]) for edge in manifest["edges"]]
    assert takers.count(("m_axis", 0)) == 1
    assert all(edge["depth"] >= 0 and edge["width"] > 0 and edge["why"] for edge in manifest["edges"])
    assert all((edge["memory"] == "none") == (edge["depth"] == 0) for edge in manifest["edges"])
    assert {edge["relays"] for edge in manifest["edges"]} == {0}, "what the generic target has"


def test_manifest_says_how_results_are_rounded() -> None:
    """Only where that is not the usual."""
    image = Result(channels=1, height=1, width=1, bits=4, signed=True)
    form: dict[str, Any] = {"multipliers": (1, 1), "shift": 1, "out_bits": 4, "out_signed": True, "relu": False}
    usual = Add(name="usual", inputs=(IMAGE, IMAGE), **form)
    down = Add(name="down", inputs=("usual", IMAGE), rounding="floor", **form)
    network = IntegerNetwork(image=image, steps=(usual, down), output="down")
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 1)))
    steps = generate_network(plan, jobs=1).manifest["steps"]
    assert {step["name"]: step.get("rounding") for step in steps} == {"usual": None, "down": "floor"}


def materials(config: NetworkConfig) -> dict[str, tuple[int, int]]:
    """Of each unit: DSPs of its products, and of its requantisers."""
    counts = {}
    for placed in NetworkPlan(config).graph.nodes:
        if isinstance(placed.node, UnitNode):
            found = dsp_counts(placed.node.shapes)
            counts[placed.step] = (sum(found.values()) - found["requantise"], found["requantise"])
    return counts


def test_what_steps_multiply_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As usual, as an option says for all steps, and as a folding file says for one; the file comes back."""
    monkeypatch.chdir(tmp_path)
    parser = cli.Parser(prog="test")
    add_unit_options(parser, target="xcup")

    def config(*options: str) -> NetworkConfig:
        found = hardware(parser.parse_args(["digits", *options]), load_model("digits")).config
        assert isinstance(found, NetworkConfig)
        return found

    # Of the digits, a sum of the stem takes one beat, and that of the X-volution several; the head is raw.
    usual = materials(config("--lanes", "4"))
    assert usual["stem"][1] > 0 == usual["xvolution"][1] == usual["head"][1] < usual["xvolution"][0]
    hard = materials(config("--lanes", "4", "--requantise", "dsp"))
    assert hard["xvolution"][1] > 0
    soft = materials(config("--lanes", "4", "--requantise", "adders", "--products", "adders"))
    assert set(soft.values()) == {(0, 0)}
    all_soft = config("--cycles", "600", "--products", "adders", "--requantise", "adders")
    assert total(all_soft) == 0 < total(config("--cycles", "600"))

    text = folding_text(config("--lanes", "4"))
    fields = json.loads(text)
    fields["head"]["products"] = fields["xvolution"]["products"] = "adders"
    fields["xvolution"]["requantise"] = "dsp"
    Path("f.json").write_text(json.dumps(fields))
    mixed = config("--folding", "f.json", "--requantise", "adders")
    assert materials(mixed) == {
        "stem": (usual["stem"][0], 0),
        "xvolution": (0, hard["xvolution"][1]),
        "head": (0, 0),
    }
    assert json.loads(folding_text(mixed)) == fields | {
        "stem": fields["stem"] | {"requantise": "adders"},
        "head": fields["head"] | {"requantise": "adders"},
    }


def total(config: NetworkConfig) -> int:
    return sum(sum(counts) for counts in materials(config).values())


def test_steps_that_do_not_multiply(refuse: Refuse, network: Path, tmp_path: Path) -> None:
    fields = foldings()
    name = next(step.name for step in small_network().steps if step.op not in ("layer", "linear"))
    fields[name]["products"] = "adders"
    file = tmp_path / "folding.json"
    file.write_text(json.dumps(fields))
    said = f"folding file {file}: step {name!r} has no multiplications to choose, those that have are"
    assert refuse(str(network), "--folding", str(file)).startswith(f"error: {said}")
    line = refuse("digits", "--products", "adders")
    assert line.startswith("error: step 'stem': products 'adders' are for a target with DSPs, generic leaves")
