"""Settings: the numbers of a layer that stages compute with, built in or coming at run time.

A stage is given its settings and does not know whether they are built in. It adds the ports that a
setting has (`hw.unit.scaling`), and waits as long as applying the setting takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from golden.contract.layer_config import LayerConfig
from golden.contract.ranges import Range
from hw.plan.reload import Reload


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: name of the layer's field.
        allowed: values that the setting may have; a single one where it is built in.
        at_run_time: whether the setting comes through a port.
    """

    name: str
    allowed: Range
    at_run_time: bool

    @property
    def latency(self) -> int:
        """Cycles that applying the setting takes; 0 where it is built in."""
        return int(self.at_run_time)

    @property
    def span(self) -> int:
        """How far the setting may be from its largest value."""
        return self.allowed.high - self.allowed.low


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a unit.

    Attributes:
        attn_shift, out_shift, relu: settings of the layer's fields of these names.
        counts_cut: whether the stages tell which outputs are cut at a limit, for software to count.
    """

    attn_shift: Setting
    out_shift: Setting
    relu: Setting
    counts_cut: bool

    @classmethod
    def built_in(cls, c: LayerConfig) -> Settings:
        """The settings of a frozen unit."""
        attn_shift, out_shift, relu = (
            Setting(name=name, allowed=Range(int(value), int(value)), at_run_time=False)
            for name, value in (("attn_shift", c.attn_shift), ("out_shift", c.out_shift), ("relu", c.relu))
        )
        return cls(attn_shift=attn_shift, out_shift=out_shift, relu=relu, counts_cut=False)

    @classmethod
    def at_run_time(cls, limits: Reload) -> Settings:
        """The settings of a reloadable unit."""
        attn_shift, out_shift, relu = (
            Setting(name=name, allowed=allowed, at_run_time=True)
            for name, allowed in (
                ("attn_shift", limits.attn_shift),
                ("out_shift", limits.out_shift),
                ("relu", Range(0, 1)),
            )
        )
        return cls(attn_shift=attn_shift, out_shift=out_shift, relu=relu, counts_cut=True)

    @property
    def ports(self) -> tuple[Setting, ...]:
        """The settings that come through ports."""
        return tuple(s for s in (self.attn_shift, self.out_shift, self.relu) if s.at_run_time)
