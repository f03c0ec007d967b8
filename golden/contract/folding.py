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
        for name, value, total in (("simd", simd, config.in_channels), ("pe", pe, config.out_channels)):
            if value is not None and (value < 1 or total % value):
                channels = "in_channels" if name == "simd" else "out_channels"
                divisors = ", ".join(str(d) for d in range(1, total + 1) if total % d == 0)
                raise UserError(f"{name} {value} does not divide {channels} {total}, allowed are {divisors}")
        default = cls.up_to(config, DEFAULT_LANES)
        return cls(simd=default.simd if simd is None else simd, pe=default.pe if pe is None else pe)

    @classmethod
    def up_to(cls, config: LayerConfig, lanes: int) -> Folding:
        """The folding with the most lanes on each side, but no more than ``lanes``."""
        simd, pe = (
            max(d for d in range(1, lanes + 1) if channels % d == 0)
            for channels in (config.in_channels, config.out_channels)
        )
        return cls(simd=simd, pe=pe)
