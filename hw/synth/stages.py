"""Which stage of a unit a cell of its flat netlist belongs to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

from hw.synth.netlist import Netlist

#: Module instances that make up each stage. Stages are in data-flow order.
_INSTANCES = {
    "control": ("control",),
    "frame_sets": ("frame_sets",),
    "frame_writer": ("frame_writer",),
    "sequencer": ("sequencer",),
    "row_store": ("row_store",),
    "window": ("window",),
    "similarity": ("similarity",),
    "weight_store": ("weights", "biases", "multipliers"),
    "tap_macs": ("tap_macs",),
    "attention_combine": ("attention_combine",),
    "channel_accumulate": ("channel_accumulate",),
    "requantise": ("requantise",),
    "output_stream": ("output_stream",),
}
#: What belongs to no stage: delays and wiring of the unit and its lanes.
TOP = "top"
STAGES = (*_INSTANCES, TOP)
#: Attribute that tells a cell's stage. It must be set before synthesis. Synthesis keeps it on flip-flops
#: and loses it on cells that are made anew.
ATTRIBUTE = "xvolution_stage"

_STAGE_OF_INSTANCE = {instance: stage for stage, instances in _INSTANCES.items() for instance in instances}
#: Name of an instance. One of several instances has a number, or what it is for, behind its name.
_INSTANCE = re.compile(rf"({'|'.join(_STAGE_OF_INSTANCE)})(_.*)?")


def stage_of_module(module: str, top: str) -> str:
    """The stage that a module of the Verilog of ``top``, such as ``xvolution_lane_tap_macs``, belongs to."""
    found = _INSTANCE.fullmatch(module.removeprefix(f"{top}_").removeprefix("lane_"))
    return _STAGE_OF_INSTANCE[found[1]] if found else TOP


def cell_stages(netlist: Netlist) -> Mapping[str, str]:
    """The stage of every cell.

    A cell belongs where its attribute says, else where its name says, else where the name of a
    net that it drives says. LUTs whose names got lost in optimisation belong to the nearest
    cell forward of them that has a stage. What leads to no such cell is `TOP`.
    """
    stages = {cell: stage for cell in netlist.cells if (stage := _said(netlist, cell)) is not None}
    nearest = deque(stages)
    while nearest:
        reader = nearest.popleft()
        for net in netlist.inputs(reader):
            cell = netlist.driver.get(net)
            if cell is not None and cell not in stages:
                stages[cell] = stages[reader]
                nearest.append(cell)
    return {cell: stages.get(cell, TOP) for cell in netlist.cells}


def _said(netlist: Netlist, cell: str) -> str | None:
    attribute = netlist.cells[cell]["attributes"].get(ATTRIBUTE)
    if attribute is not None:
        return attribute
    names = [cell, *(name for net in netlist.outputs(cell) for name in netlist.names.get(net, ()))]
    return next((stage for name in names if (stage := _stage_of_name(name)) is not None), None)


def _stage_of_name(name: str) -> str | None:
    """The stage in a hierarchical name such as ``lane_0.tap_macs.sum``, None where it names no stage.

    A stage's input (``lane_0.requantise.i_acc``) names no stage: what drives it belongs to a stage
    before. A net of the unit or of a lane names no stage, because all stages may drive it.
    """
    *scope, own = name.removeprefix("$flatten").replace("\\", "").split(".")
    if own.startswith("i_"):
        return None
    return next((_STAGE_OF_INSTANCE[found[1]] for part in scope if (found := _INSTANCE.fullmatch(part))), None)
