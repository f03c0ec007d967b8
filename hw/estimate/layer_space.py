"""All foldings of a layer on a device, and the least of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property

from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig
from golden.support.cli import UserError
from hw.estimate.choose_for_device import Found, fewest_cycles, found_of
from hw.estimate.estimate import estimate
from hw.estimate.fit import uses
from hw.estimate.hopeless import hopeful, surely_takes
from hw.estimate.wish import Wish
from hw.network.folding import divisors
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import fewest_dsps
from hw.plan.geometry import Geometry
from hw.plan.schedule import find_schedule
from hw.plan.scope import scope_of
from hw.targets.area import URAM_KBIT
from hw.targets.devices import Device, find_device


class LayerSpace:
    """The `hw.estimate.choose_for_device.Space` of the unit ``config``, whatever its folding is."""

    def __init__(self, config: UnitConfig, wish: Wish) -> None:
        self._wish = wish
        units = [replace(config, folding=folding) for folding in legal_foldings(config.layer.config)]
        model = scope_of(config).cycle_model
        self._cycles = {
            unit.folding: find_schedule(Geometry(config=unit.layer.config, folding=unit.folding), model).frame_cycles
            for unit in hopeful((surely_takes(wish, [unit], fewest_dsps(unit)), unit) for unit in units)
        }
        self._config = config
        self._found: dict[Folding, Found[UnitConfig] | None] = {}

    @property
    def wish(self) -> Wish:
        return self._wish

    @cached_property
    def cycles(self) -> Sequence[int]:
        every = sorted(set(self._cycles.values()))
        return [cycles for cycles in every if any(True for _ in self._within(cycles))]

    def least_share(self, cycles: int) -> Fraction:
        return min(found.value[0] for found in self._within(cycles))

    def least(self, cycles: int) -> Found[UnitConfig]:
        return min(self._within(cycles), key=lambda found: (found.value, found.cycles, str(found.config.folding)))

    def _within(self, cycles: int) -> Iterator[Found[UnitConfig]]:
        """The units that take at most so many ``cycles`` and can be built."""
        for folding, own in self._cycles.items():
            if own <= cycles and (found := self._estimated(folding)) is not None:
                yield found

    def _estimated(self, folding: Folding) -> Found[UnitConfig] | None:
        """A unit with all that it takes; None where more lanes than a vector holds are asked for."""
        if folding not in self._found:
            config = replace(self._config, folding=folding)
            try:
                self._found[folding] = found_of(self._wish, config, self._cycles[folding], estimate(config).area)
            except UserError:
                self._found[folding] = None
        return self._found[folding]


def check_fit(config: UnitConfig, device: str) -> None:
    """Raise `UserError` where ``device`` cannot hold the unit, whatever synthesis makes of it.

    Multipliers and block RAMs are known. LUTs and flip-flops decide only where their estimate leaves no
    doubt (`hw.estimate.fit.CERTAIN`). The message names the fastest folding that fits.
    """
    unit, folding = estimate(config), config.folding
    lacking = [use for use in uses(unit, device) if use.surely_lacks]
    if not lacking:
        return
    said = f"simd {folding.simd}, pe {folding.pe} do not fit {device}: {', '.join(map(str, lacking))}"
    if unit.dsp is None:
        raise UserError(f"{said}; fewer lanes take less")
    wish = Wish(device=find_device(device))
    if not _holds_weights(config, wish.device) or not (best := fewest_cycles(LayerSpace(config, wish))).fits:
        raise UserError(f"{said}; no folding of the layer fits")
    raise UserError(f"{said}; the fastest that fit are simd {best.config.folding.simd}, pe {best.config.folding.pe}")


def _holds_weights(config: UnitConfig, device: Device) -> bool:
    """Whether all memories and LUTs of ``device`` together hold the weights. This is far quicker than an estimate."""
    layer, fabric, has = config.layer.config, config.target.fabric, device.has
    geometry = Geometry(config=layer, folding=config.folding)
    taps = len(geometry.conv_taps) + len(geometry.attn_taps)
    weights = layer.out_channels * layer.fan_in_channels * taps * layer.weight_bits
    kbits = has.bram * fabric.block_kbit + has.uram * URAM_KBIT
    return weights <= kbits * 1024 + has.lut * 2**fabric.lut_inputs


def legal_foldings(config: LayerConfig) -> Iterator[Folding]:
    """All foldings of a layer."""
    for simd in divisors(config.in_channels):
        for pe in [simd] if config.depthwise else divisors(config.out_channels):
            yield Folding(simd=simd, pe=pe)
