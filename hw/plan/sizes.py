"""Sizes: the numbers that follow from a unit's config: counts, ranges, plans.

All that software must know of a unit follows from them, so nothing here needs Amaranth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from golden.contract.bounds import StageRanges, Weighted, stage_ranges
from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.ranges import ACCUMULATOR_BITS, Range, weighted_sum
from golden.contract.streams import Payload
from golden.support.cli import UserError
from hw.plan.config import UnitConfig
from hw.plan.flush import Flush
from hw.plan.geometry import Geometry
from hw.plan.group_packing import group_plan
from hw.plan.heads import Heads
from hw.plan.packing import TapPlan, tap_plan
from hw.plan.scale import Scale
from hw.plan.schedule import Schedule, find_schedule
from hw.plan.scope import Scope, scope_of
from hw.plan.settings import Settings
from hw.targets.families import Target


@dataclass(frozen=True, kw_only=True)
class GroupRanges:
    """What the ``dynamic`` product adds to the proven ranges, over all outputs and groups or heads.

    Attributes:
        conv: ``sum_i conv_weight x_i`` over a group of channels.
        attn: ``sum_c attn_weight x_t`` over the channels of a group or a head, and all partial sums.
        sim: all similarities.
    """

    conv: Range
    attn: Range
    sim: Range


@dataclass(frozen=True)
class Sizes:
    """Geometry, schedule, ranges and plan of the unit ``config``.

    Attributes:
        flush: how the unit completes a frame, where what stands around it decides that.
        tap: whether the pixels in the centres of its windows come out of a stream of their own.

    Raises `UserError` where weights that a reloadable unit allows could make the accumulator too wide.
    """

    config: UnitConfig
    flush: Flush | None = None
    tap: bool = False

    def __post_init__(self) -> None:
        # A frozen unit's layer has already refused this itself.
        acc = self.ranges.accumulator
        if max(-acc.low, acc.high) >= 2 ** (ACCUMULATOR_BITS - 1):
            raise UserError(
                f"attn_shift {self.settings.attn_shift.allowed.high} lets |acc| reach {max(-acc.low, acc.high)} "
                f"with any weights, allowed is less than 2^{ACCUMULATOR_BITS - 1}"
            )

    @property
    def layer(self) -> Layer:
        return self.config.layer

    @property
    def folding(self) -> Folding:
        return self.config.folding

    @property
    def target(self) -> Target:
        return self.config.target

    @cached_property
    def scope(self) -> Scope:
        """What is known of frames and weights."""
        return scope_of(self.config)

    @property
    def bounding(self) -> Weighted:
        """What all bounds follow from."""
        return self.scope.bounding

    @cached_property
    def settings(self) -> Settings:
        """The numbers that stages compute with."""
        return self.scope.settings

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry(config=self.layer.config, folding=self.folding)

    @cached_property
    def schedule(self) -> Schedule:
        """Row slots and cycles."""
        found = find_schedule(self.geometry, self.scope.cycle_model)
        return found if self.flush is None else replace(found, flush_always=self.flush.always, due=self.flush.due)

    @property
    def waiting_outputs(self) -> int:
        """Outputs that have begun and wait for groups behind theirs, at most."""
        return self.geometry.lead - self.schedule.early

    @cached_property
    def edge_columns(self) -> tuple[int, ...]:
        """Distinct ``dx`` of the taps that lie outside the frame for some output of some frame."""
        return self.scope.edge_columns(self.geometry)

    @cached_property
    def centre_slots(self) -> frozenset[int]:
        """Slots of the row store that rows of centres come to lie in."""
        return self.scope.centre_slots(self.geometry, self.schedule.slots)

    @cached_property
    def ranges(self) -> StageRanges:
        return stage_ranges(self.bounding)

    @property
    def raw(self) -> bool:
        """Whether results are the accumulators themselves, not requantised."""
        return self.layer.config.raw

    @cached_property
    def scale(self) -> Scale | None:
        """How sums are multiplied without multipliers; None where they have multipliers, or results are raw."""
        if self.raw or self.config.made_of.requantise != "adders":
            return None
        c = self.layer.config
        return Scale.of(self.layer.multiplier, c.out_shift, self.beats_per_output, c.rounding)

    @property
    def takes_turns(self) -> bool:
        """Whether adders multiply each sum in several cycles."""
        return self.scale is not None and self.scale.takes_turns

    @property
    def stores_multipliers(self) -> bool:
        """Whether anything is kept of the multipliers."""
        return not self.raw and (self.scale is None or self.scale.word_bits > 0)

    @cached_property
    def heads(self) -> Heads | None:
        """How the heads of the ``dynamic`` product lie in the beats; None where there are no similarities."""
        form = self.layer.config.similarity
        if form is None or not self.geometry.attn_taps:
            return None
        return Heads(simd=self.folding.simd, beats=self.geometry.channel_beats, head_channels=form.head_channels)

    @cached_property
    def group_ranges(self) -> GroupRanges:
        """What the ``dynamic`` product adds to `ranges`. Only with `heads`."""
        assert self.heads is not None and self.ranges.similarity is not None
        c, g = self.layer.config, self.geometry
        element, outputs = c.in_range, len(self.bounding.bias)
        conv = self.bounding.conv_weight.reshape(outputs, c.in_channels, -1)[..., list(g.conv_taps)]
        attn = self.bounding.attn_weight[..., list(g.attn_taps)]
        per_head = attn.reshape(outputs, -1, self.heads.head_channels, len(g.attn_taps)).swapaxes(2, 3)
        sims = [self.ranges.similarity.sims[t] for t in g.attn_taps]
        return GroupRanges(
            conv=Range.hull(*weighted_sum(conv.reshape(outputs, c.in_channels // self.heads.group, -1), element)),
            attn=Range.hull(*weighted_sum(per_head, element)),
            sim=Range(min(s.low for s in sims), max(s.high for s in sims)),
        )

    @property
    def products_in_fabric(self) -> bool:
        """Whether all products of weights, and those of the attention, are made of adders."""
        return self.config.made_of.products == "adders"

    @cached_property
    def plan(self) -> TapPlan:
        target, pack = self.target, self.config.pack
        if self.products_in_fabric:
            # Only multipliers are shared, and only they are chained.
            target, pack = replace(target, packs=False, cascade=1), False
        if self.heads is not None:
            return group_plan(self.bounding, self.geometry, self.heads, target, pack=pack)
        return tap_plan(self.bounding, self.geometry, target, pe=self.folding.pe, pack=pack)

    @property
    def lanes(self) -> int:
        """Output lanes, each of ``plan.outputs`` output channels."""
        return self.folding.pe // self.plan.outputs

    @property
    def lane_channels(self) -> int:
        """Input channels that one output lane sums in a beat (depthwise: its own)."""
        return 1 if self.layer.config.depthwise else self.folding.simd

    @property
    def weight_parts(self) -> int:
        """Memories that those weights of a lane which have the same skew are divided into."""
        return self.lane_channels if self.target.lane_registers else 1

    @property
    def lane_groups(self) -> int:
        """Groups of channels (`TapPlan`) that one output lane sums in a beat."""
        return self.lane_channels // self.plan.group

    @property
    def beats_per_output(self) -> int:
        """Beats that one output beat sums over."""
        return 1 if self.layer.config.depthwise else self.geometry.channel_beats

    @property
    def row_beats(self) -> int:
        """Beats of an input row."""
        return self.layer.config.width * self.geometry.channel_beats

    @property
    def row_depth(self) -> int:
        """Words of a row slot: one per beat that reads a row, and at least two so that there is an address."""
        return max(2, self.geometry.groups * self.geometry.channel_beats)

    @property
    def weight_depth(self) -> int:
        """Weight words: one per beat of a step."""
        return self.geometry.channel_beats * self.geometry.output_beats

    @property
    def constant_depth(self) -> int:
        """Words of bias and multiplier: one per output beat of a step."""
        return self.weight_depth // self.beats_per_output

    @property
    def input_payload(self) -> Payload:
        return Payload.of_input(self.layer.config, self.folding)

    @property
    def output_payload(self) -> Payload:
        return Payload.of_output(self.layer.config, self.folding)

    @property
    def channel_elements(self) -> int:
        """Weights of one channel of a lane: those of the kernel for each output, then those of the attention."""
        return self.plan.outputs * len(self.geometry.conv_taps) + len(self.geometry.attn_taps)
