"""Folding: how many channels a unit works on at once."""

from __future__ import annotations

from dataclasses import dataclass

from golden.contract.layer_config import LayerConfig
from golden.support.arrays import plain
from golden.support.cli import UserError

#: Where nobody chose a folding, each side has the largest divisor of its channels up to this.
DEFAULT_LANES = 4


@dataclass(frozen=True, kw_only=True)
class Folding:
    """How many channels a unit works on at once.

    Attributes:
        simd: input channels per beat, a divisor of ``in_channels``.
        pe: output channels per beat, a divisor of ``out_channels`` (depthwise: equal to simd).
    """

    simd: int
    pe: int

    def __post_init__(self) -> None:
        # Scalars of numpy become Python's own, as files need them.
        object.__setattr__(self, "simd", plain(self.simd))
        object.__setattr__(self, "pe", plain(self.pe))

    @classmethod
    def choose(cls, config: LayerConfig, simd: int | None = None, pe: int | None = None) -> Folding:
        """The folding with ``simd`` and ``pe``; one that is None gets a default.

        Raises `UserError` where one does not divide its channels, or they differ in a depthwise layer.
        """
        if config.depthwise:
            simd = pe if simd is None else simd
            pe = simd if pe is None else pe
            if simd != pe:
                raise UserError(f"pe {pe} differs from simd {simd}, which a depthwise layer does not allow")
        return cls(
            simd=choose_lanes("simd", simd, "in_channels", config.in_channels),
            pe=choose_lanes("pe", pe, "out_channels", config.out_channels),
        )

    @classmethod
    def up_to(cls, config: LayerConfig, lanes: int) -> Folding:
        """The folding with the most lanes on each side, but no more than ``lanes``."""
        return cls(simd=most_lanes(config.in_channels, lanes), pe=most_lanes(config.out_channels, lanes))


def choose_lanes(name: str, lanes: int | None, of: str, channels: int) -> int:
    """How many of ``channels`` a beat has: ``lanes``, or a default where it is None.

    Raises `UserError` where ``lanes``, called ``name``, do not divide ``channels``, called ``of``.
    """
    if lanes is None:
        return most_lanes(channels, DEFAULT_LANES)
    if lanes < 1 or channels % lanes:
        divisors = ", ".join(str(d) for d in range(1, channels + 1) if channels % d == 0)
        raise UserError(f"{name} {lanes} does not divide {of} {channels}, allowed are {divisors}")
    return lanes


def most_lanes(channels: int, most: int) -> int:
    """The largest divisor of ``channels`` that is at most ``most``."""
    return max(d for d in range(1, most + 1) if channels % d == 0)
