"""What ``python -m hw.build`` makes and says of a network."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.table import Table

from golden.support import cli
from golden.support.numbers import number
from hw.estimate.network import NetworkEstimate
from hw.export.integration import integration_files
from hw.export.network_verilog import NetworkCore
from hw.network.plan import NetworkPlan
from hw.network.schedule import NetworkSchedule


def network_files(core: NetworkCore) -> dict[str, str]:
    """Verilog, manifest and what other tools need of them, by file name.

    The manifest that is written also names the other files, with their sha256.
    """
    name = core.config.name
    others = integration_files(core.manifest)
    manifest = core.manifest | {"files": cli.sha256_of({f"{name}.v": core.verilog} | others)}
    return {f"{name}.v": core.verilog, f"{name}.json": json.dumps(manifest, indent=2) + "\n"} | others


def steps_table(name: str, plan: NetworkPlan) -> Table:
    """Each step: what it takes and gives a beat, and its cycles."""
    columns = ("step", "op", "simd", "pe", "ideal cycles", "cycles")
    table = Table(*columns, title=f"xvolution: {name}")
    for column in table.columns[2:]:
        column.justify = "right"
    cycles = plan.step_cycles
    for step in plan.config.network.steps:
        folding = plan.config.foldings[step.name]
        figures = (folding.simd, folding.pe, plan.ideals[step.name], cycles[step.name])
        table.add_row(step.name, step.op, *map(number, figures))
    return table


def summary(plan: NetworkPlan, schedule: NetworkSchedule, rows: Mapping[str, str]) -> Table:
    """The network as a whole, with further ``rows``."""
    table = Table(show_header=False)
    for label, value in {**_timing_rows(plan, schedule), **_storage_rows(schedule), **rows}.items():
        table.add_row(label, value)
    return table


def _timing_rows(plan: NetworkPlan, schedule: NetworkSchedule) -> dict[str, str]:
    first = ", ".join(map(number, schedule.first_intervals))
    return {
        "target": plan.config.target.name,
        "first output": f"{number(schedule.latency)} cycles after the first input",
        "frame": f"{number(schedule.interval)} cycles (ideal {number(plan.ideal_frame_cycles)})",
        **({"first frames": f"{first} cycles, until it is steady"} if first else {}),
    }


def _storage_rows(schedule: NetworkSchedule) -> dict[str, str]:
    edges = [edge for edge in schedule.edges if edge.depth]
    bits = sum(edge.depth * edge.fifo_beat.size for edge in edges)
    return {"FIFOs": f"{number(len(edges))} of {number(len(schedule.edges))} edges have one, {number(bits)} bit"}


def estimate_rows(estimate: NetworkEstimate) -> dict[str, str]:
    """What the network will cost."""
    return {
        "LUT": f"about {number(estimate.lut)}",
        "FF": f"about {number(estimate.ff)}",
        "DSP": "synthesis chooses" if estimate.dsp is None else f"{number(estimate.dsp)} (exact)",
        "BRAM": "synthesis chooses" if estimate.bram is None else f"{number(estimate.bram)} (exact)",
    }
