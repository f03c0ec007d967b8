"""What ``python -m hw.build`` says of a network."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from golden.support.numbers import number
from golden.support.tables import table_of
from hw.estimate.fit import EXACT
from hw.estimate.network import NetworkEstimate
from hw.network.plan import NetworkPlan
from hw.network.schedule import NetworkSchedule
from hw.targets.area import Area, shown_resources
from hw.targets.devices import CAPACITY


def steps_table(name: str, plan: NetworkPlan, estimate: NetworkEstimate | None = None) -> Table:
    """Each step: what it takes and gives a beat, its cycles, and by its estimate what it takes of an FPGA."""
    resources = {} if estimate is None else shown_resources(estimate.uram)
    columns = ("step", "op", "simd", "pe", "ideal cycles", "cycles", *resources)
    table = table_of(*columns, title=f"xvolution: {name}", words=2)
    cycles = plan.step_cycles
    for step in plan.config.network.steps:
        folding = plan.config.foldings[step.name]
        figures = (folding.simd, folding.pe, plan.ideals[step.name], cycles[step.name])
        area = () if estimate is None else _area(estimate, estimate.steps[step.name])
        table.add_row(step.name, step.op, *map(number, figures), *area)
    if estimate is not None:
        table.add_row("(edges)", *[""] * 5, *_area(estimate, estimate.edges))
    return table


def _area(estimate: NetworkEstimate, area: Area) -> list[str]:
    """What a part takes of each resource. What synthesis is free to choose is not known."""
    keys = shown_resources(estimate.uram).values()
    return ["" if getattr(estimate, key) is None else number(getattr(area, key)) for key in keys]


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


def estimate_rows(estimate: NetworkEstimate, device: str | None = None) -> dict[str, str]:
    """What the network will cost, and of how much where a device is known."""
    rows = {}
    for name, key in shown_resources(estimate.uram).items():
        takes, of = getattr(estimate, key), "" if device is None else f" of {number(getattr(CAPACITY[device], key))}"
        exact = f"{number(takes)}{of} (exact)" if takes is not None else "synthesis chooses"
        rows[name] = exact if key in EXACT else f"about {number(takes)}{of}"
    return rows
