"""Floor plan of a network: each multiplier and block RAM has a place of its own, beside the others of its step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hw.synth.floorplan import floorplanned
from hw.synth.netlist import Netlist
from hw.synth.parts import ATTRIBUTE
from hw.synth.sites import SITES

#: Multipliers, block RAMs and registers of the steps of a residual network, in the order of the data flow.
STEPS = [(10, 3, 1200), (20, 7, 2400), (20, 7, 2400), (0, 0, 200), (11, 12, 1350), (20, 9, 2400), (2, 4, 500)]
STEPS += [(0, 0, 50), (21, 26, 1900), (38, 37, 4600), (2, 4, 600), (0, 0, 200), (1, 4, 800)]


def network(*steps: tuple[int, int, int]) -> Netlist:
    """Cells of so many multipliers, block RAMs and registers of each step, and a FIFO between steps."""
    cells: dict[str, Any] = {}
    for node, numbers in reversed(list(enumerate(steps))):
        unit = f"\\{node}_step_{node}_unit"
        names = (f"{unit}.lane_{{}}.tap_macs.U$0", f"{unit}.weights.weights_{{}}.U$0", f"$auto${node}.{{}}")
        for name, kind, count in zip(names, ("MULT18X18D", "DP16KD", "TRELLIS_FF"), numbers, strict=True):
            attributes = {ATTRIBUTE: f"step_{node}", "kept": "1"}
            cells |= {name.format(n): {"type": kind, "attributes": attributes} for n in reversed(range(count))}
        cells[f"{unit}.queue"] = {"type": "TRELLIS_DPR16X4", "attributes": {ATTRIBUTE: f"step_{node}"}}
    cells["\\fifo_3_0.U$0"] = {"type": "DP16KD", "attributes": {ATTRIBUTE: "(edges)", "kept": "1"}}
    return Netlist({"cells": cells, "ports": {}, "netnames": {}})


def places(plan: Netlist) -> Mapping[str, str]:
    return {name: cell["attributes"]["BEL"] for name, cell in plan.cells.items() if "BEL" in cell["attributes"]}


def points(plan: Netlist, node: int, kind: str) -> list[tuple[int, int]]:
    """Columns and rows of a step's multipliers or block RAMs, in order."""
    own = [name for name in places(plan) if name.startswith(f"\\{node}_") and plan.cells[name]["type"] == kind]
    own.sort(key=lambda name: [int(word) for word in name.replace("_", ".").split(".") if word.isdecimal()])
    return [(int(x[1:]), int(y[1:])) for x, y, _ in (places(plan)[name].split("/") for name in own)]


def test_every_cell_has_a_place_of_its_own() -> None:
    before = network(*STEPS)
    plan = floorplanned(before, "ecp5-85f")
    found, sites = places(plan), SITES["ecp5-85f"]
    kinds = {"MULT18X18D": [sites.row(y) for y in sites.rows], "DP16KD": map(sites.memory_row, sites.memory_rows)}
    for kind, rows in kinds.items():
        own = {name: place for name, place in found.items() if plan.cells[name]["type"] == kind}
        assert set(own) == {name for name, cell in before.cells.items() if cell["type"] == kind}
        assert len(set(own.values())) == len(own) and set(own.values()) <= {place for row in rows for place in row}
    assert not places(before)
    assert all(plan.cells[name]["attributes"]["kept"] == "1" for name in found)


def test_steps_lie_along_the_rows() -> None:
    """Forth, back and forth again. A lane's multipliers and weights lie beside each other."""
    plan = floorplanned(network(*STEPS), "ecp5-85f")
    middle = {}
    for node, (multipliers, _, _) in enumerate(STEPS):
        if multipliers:
            own = points(plan, node, "MULT18X18D")
            middle[node] = sum(x for x, _ in own) / len(own), sum(y for _, y in own) / len(own)
    assert middle[0][0] < middle[1][0] < middle[2][0] and {middle[node][1] for node in (0, 1, 2)} == {10}
    assert middle[4][0] > middle[5][0] > middle[6][0] and {middle[node][1] for node in (4, 5, 6)} == {34}
    assert middle[9][0] < middle[10][0] < middle[12][0] and {middle[node][1] for node in (9, 10, 12)} == {58}
    for node in (1, 2):
        own = points(plan, node, "MULT18X18D")
        assert own == sorted(own), "in the order of lanes"
        x = [column for column, _ in points(plan, node, "DP16KD")]
        assert own[0][0] - 9 <= min(x) and max(x) <= own[-1][0] + 9


def test_registers_make_room() -> None:
    """A step of few multipliers and many registers has as much of the line as it takes of the registers."""
    few = points(floorplanned(network((20, 0, 100), (10, 0, 8000), (20, 0, 100)), "ecp5-85f"), 1, "MULT18X18D")
    assert {y for _, y in few} == {10, 34, 58}, "over the whole device, row by row"
    assert max(x for x, y in few if y == 34) - min(x for x, y in few if y == 34) > 60


def test_what_several_share_lies_between_them() -> None:
    """A row store in the middle of the weights of its lanes, a FIFO behind the step that fills it."""
    before = network(*STEPS)
    attributes = {ATTRIBUTE: "step_9", "kept": "1"}
    before.cells["\\9_step_9_unit.row_store.U$0"] = {"type": "DP16KD", "attributes": attributes}
    plan = floorplanned(before, "ecp5-85f")
    weights, place = points(plan, 9, "DP16KD"), places(plan)["\\9_step_9_unit.row_store.U$0"]
    ordered, column = sorted(x for x, _ in weights), int(place.split("/")[0][1:])
    assert ordered[len(ordered) // 3] < column < ordered[-len(ordered) // 3]
    # Node 3 has nothing else that is placed. So its FIFO is behind the last memory of node 2.
    fifo, last = int(places(plan)["\\fifo_3_0.U$0"].split("/")[0][1:]), max(x for x, _ in points(plan, 2, "DP16KD"))
    assert last < fifo < last + 12


def test_a_fifo_before_all_that_has_a_place() -> None:
    """The first nodes have no cell with a name. A FIFO before one of them goes to the first step that has."""
    plan = network((4, 2, 300))
    cells = {name.replace("0_step_0", "2_step_2").replace("fifo_3_0", "fifo_1_0"): c for name, c in plan.cells.items()}
    found = places(floorplanned(Netlist({"cells": cells, "ports": {}, "netnames": {}}), "ecp5-85f"))
    assert "\\fifo_1_0.U$0" in found


def test_what_there_is_too_much_of_is_left_to_the_placer() -> None:
    plan = floorplanned(network((157, 3, 10)), "ecp5-85f")
    assert {plan.cells[name]["type"] for name in places(plan)} == {"DP16KD"}
    plan = floorplanned(network((28, 57, 10)), "ecp5-25f")
    assert {plan.cells[name]["type"] for name in places(plan)} == {"MULT18X18D"}
