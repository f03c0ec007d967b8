"""``report.json`` of a synthesis: its figures as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from golden.contract.costs import useful_macs
from golden.support.numbers import number
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from hw.network.plan import NetworkPlan
from hw.synth.mapping import synthesis_commands
from hw.synth.performance import Performance
from hw.synth.placement import place_options
from hw.synth.synthesis import Synthesis
from hw.synth.toolchain import NEXTPNR
from hw.targets.area import Area, shown_resources
from hw.targets.devices import CAPACITY


def report(model: str, core: Core | NetworkCore, synthesis: Synthesis) -> dict[str, Any]:
    """Figures of ``core``, made of what the user calls ``model``. A figure that is not known is None.

    ``stages`` has those that a unit consists of, ``steps`` all of a network's and the edges between them. ``capacity``
    is what the device has. ``macs`` are those of a frame: convolutions, attention's taps and centre, classifier.
    """
    own = _of_network(model, core, synthesis) if isinstance(core, NetworkCore) else _of_unit(model, core, synthesis)
    config, cycles, timing = core.config, core.manifest["timing"], synthesis.timing
    goal = None if timing is None else timing.goal
    area = synthesis.area
    performance = Performance(
        macs=_macs(core),
        frame_cycles=cycles["predicted_frame_cycles"],
        dsp=area.dsp,
        fmax_mhz=synthesis.fmax_mhz,
    )
    return {
        **own,
        "name": config.name,
        "target": config.target.name,
        "device": synthesis.device,
        "speed": goal and goal.speed,
        "pack": "auto" if config.pack else "none",
        **dataclasses.asdict(area),
        "capacity": synthesis.device and dataclasses.asdict(CAPACITY[synthesis.device]),
        "fmax_mhz": performance.fmax_mhz,
        "clock_mhz": goal and goal.clock_mhz,
        "seeds": timing and {str(seed): fmax for seed, fmax in timing.seeds.items()},
        "critical_path": timing
        and {**dataclasses.asdict(timing.critical_path), "delay_ns": timing.critical_path.delay_ns},
        "frame_cycles": performance.frame_cycles,
        "ideal_frame_cycles": cycles["ideal_frame_cycles"],
        "latency_cycles": cycles["predicted_latency"],
        "macs": performance.macs,
        "frames_per_second": performance.frames_per_second,
        "gmacs_per_second": performance.gmacs_per_second,
        "dsp_efficiency": performance.dsp_efficiency,
        "synthesis_command": "; ".join(synthesis_commands(config.target, config.name)),
        "place_command": timing
        and " ".join(
            [NEXTPNR.name, *place_options(timing.goal, timing.best_seed, network=isinstance(core, NetworkCore))]
        ),
        "versions": dict(synthesis.versions),
    }


def _of_unit(layer: str, core: Core, synthesis: Synthesis) -> dict[str, Any]:
    folding = core.config.folding
    return {
        "layer": layer,
        "simd": folding.simd,
        "pe": folding.pe,
        # What takes nothing is a stage that this unit does not have.
        "stages": {stage: dataclasses.asdict(part) for stage, part in synthesis.parts.items() if part != Area()},
        "memories": core.manifest["memories"],
    }


def _of_network(network: str, core: NetworkCore, synthesis: Synthesis) -> dict[str, Any]:
    return {
        "network": network,
        "folding": {name: dataclasses.asdict(folding) for name, folding in core.config.foldings.items()},
        "steps": {
            name: {**_of_step(core.plan, name), **dataclasses.asdict(part)} for name, part in synthesis.parts.items()
        },
    }


def _of_step(plan: NetworkPlan, name: str) -> dict[str, Any]:
    """What a step does, beside its area. Edges do nothing of a network's own."""
    step = next((step for step in plan.config.network.steps if step.name == name), None)
    if step is None:
        return {}
    return {
        "op": step.op,
        "macs": step.macs,
        "ideal_cycles": plan.ideals[name],
        "cycles": plan.step_cycles[name],
    }


def _macs(core: Core | NetworkCore) -> int:
    if isinstance(core, NetworkCore):
        return sum(step.macs for step in core.config.network.steps)
    return useful_macs(core.config.layer.config)


def model_name(figures: Mapping[str, Any]) -> str:
    """What the user calls the layer or the network."""
    return figures["layer"] if "layer" in figures else figures["network"]


def areas(figures: Mapping[str, Any]) -> tuple[str, dict[str, dict[str, float]]]:
    """What the area is divided by, ``stage`` or ``step``, and the area of each."""
    return ("stage", figures["stages"]) if "stages" in figures else ("step", figures["steps"])


def rows(figures: dict[str, Any]) -> dict[str, str]:
    """The figures of `report` in words, as the table and the page show them. Figures that are None are left out."""
    shown = {
        "layer": figures.get("layer"),
        "network": figures.get("network"),
        "target": figures["target"],
        "device": _device(figures),
        "folding": f"{_folding(figures)}, packing {figures['pack']}",
        **{name: _amount(figures, key) for name, key in shown_resources(figures["uram"]).items()},
        **_store_rows(figures),
        "Fmax": figures["fmax_mhz"] and _clock(figures),
        "critical path": figures["critical_path"] and _path(figures["critical_path"]),
        "frame": f"{figures['frame_cycles']:,} cycles (ideal {figures['ideal_frame_cycles']:,})",
        "frames a second": figures["frames_per_second"] and f"{figures['frames_per_second']:,.0f}",
        "useful GMAC/s": figures["gmacs_per_second"] and f"{figures['gmacs_per_second']:.2f}",
        "DSP efficiency": figures["dsp_efficiency"] and f"{figures['dsp_efficiency']:.2f} useful MAC per DSP and cycle",
    }
    return {label: text for label, text in shown.items() if text is not None}


def _amount(figures: dict[str, Any], key: str) -> str:
    """How much of a resource the unit takes, and of how much where the device is known."""
    of = f" of {number(figures['capacity'][key])}" if figures["capacity"] else ""
    return f"{number(figures[key])}{of}"


def _device(figures: dict[str, Any]) -> str | None:
    return figures["device"] and figures["device"] + (f", speed grade {figures['speed']}" if figures["speed"] else "")


def _folding(figures: dict[str, Any]) -> str:
    if "folding" in figures:
        sides = [side for folding in figures["folding"].values() for side in folding.values()]
        return "a lane" if max(sides) == 1 else f"{min(sides)} to {max(sides)} lanes"
    return f"simd {figures['simd']}, pe {figures['pe']}"


def _store_rows(figures: dict[str, Any]) -> dict[str, str]:
    if "memories" not in figures:
        return {}
    return {"row store": _memories(figures, "row_store"), "weight store": _memories(figures, "weights")}


def _memories(figures: dict[str, Any], name: str) -> str:
    """How many words a stage keeps, and in what."""
    found = [memory for memory in figures["memories"] if memory["name"] == name]
    if not found:
        return "constants"
    bits = sum(memory["count"] * memory["width"] for memory in found)
    where = {"lut": "LUTs", "block": "block RAM"}[found[0]["kept_in"]]
    return f"{found[0]['depth']:,} words of {bits:,} bits, in {where}"


def _clock(figures: dict[str, Any]) -> str:
    fmax, seeds = figures["fmax_mhz"], figures["seeds"].values()
    of = f", best of {len(seeds)} seeds from {min(seeds):.1f}" if len(seeds) > 1 else ""
    return f"{fmax:.1f} MHz{of}"


def _path(path: dict[str, Any]) -> str:
    delays = f"{path['logic_ns']:.1f} ns logic, {path['routing_ns']:.1f} ns routing"
    return f"{' -> '.join(path['stages'])}: {delays}"
