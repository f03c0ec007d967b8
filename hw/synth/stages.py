"""Stages: the parts of a unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hw.synth.parts import scope_and_name

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
    "requantise": ("requantise", "digit_walk"),
    "output_stream": ("output_stream",),
}
#: What belongs to no stage: delays and wiring of the unit and its lanes.
TOP = "top"
STAGES = (*_INSTANCES, TOP)

_STAGE_OF_INSTANCE = {instance: stage for stage, instances in _INSTANCES.items() for instance in instances}
#: Name of an instance. One of several instances has a number, or what it is for, behind its name.
_INSTANCE = re.compile(rf"({'|'.join(_STAGE_OF_INSTANCE)})(_.*)?")


@dataclass(frozen=True)
class UnitStages:
    """The `hw.synth.parts.Parts` of the unit whose top module is ``top``.

    A net of the unit or of a lane names no stage, because all stages may drive it.
    """

    top: str

    @property
    def names(self) -> tuple[str, ...]:
        return STAGES

    def of_module(self, module: str) -> str:
        found = _INSTANCE.fullmatch(module.removeprefix(f"{self.top}_").removeprefix("lane_"))
        return _STAGE_OF_INSTANCE[found[1]] if found else TOP

    def of_name(self, name: str) -> str | None:
        scope, own = scope_and_name(name)
        if own.startswith("i_"):
            return None
        return next((_STAGE_OF_INSTANCE[found[1]] for part in scope if (found := _INSTANCE.fullmatch(part))), None)
