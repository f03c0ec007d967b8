"""All foldings of a layer on a device, and the least of them."""

from __future__ import annotations

import contextlib
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
from hw.plan.made_of import MadeOf, choices_of
from hw.plan.schedule import find_schedule
from hw.plan.scope import scope_of
from hw.targets.area import URAM_KBIT
from hw.targets.devices import Device, find_device


class LayerSpace:
    """The `hw.estimate.choose_for_device.Space` of the unit ``config``, whatever its folding is.

    What its multiplications are made of is chosen, too, where ``config`` does not say that.
    """

    def __init__(self, config: UnitConfig, wish: Wish) -> None:
        self._wish, model = wish, scope_of(config).cycle_model
        hopes = hopeful((surely_takes(wish, [unit], fewest_dsps(unit)), unit) for unit in _units(config))
        self._units = [
            (find_schedule(Geometry(config=unit.layer.config, folding=unit.folding), model).frame_cycles, unit)
            for unit in hopes
        ]
        self._found: dict[int, Found[UnitConfig] | None] = {}

    @property
    def wish(self) -> Wish:
        return self._wish

    @cached_property
    def cycles(self) -> Sequence[int]:
        every = sorted({cycles for cycles, _ in self._units})
        return [cycles for cycles in every if any(True for _ in self._within(cycles))]

    def least_share(self, cycles: int) -> Fraction:
        return min(found.value[0] for found in self._within(cycles))

    def least(self, cycles: int) -> Found[UnitConfig]:
        return min(self._within(cycles), key=lambda found: (found.value, found.cycles, str(found.config.folding)))

    def _within(self, cycles: int) -> Iterator[Found[UnitConfig]]:
        """The units that take at most so many ``cycles`` and can be built."""
        for number, (own, _) in enumerate(self._units):
            if own <= cycles and (found := self._estimated(number)) is not None:
                yield found

    def _estimated(self, number: int) -> Found[UnitConfig] | None:
        """A unit with all that it takes; None where more lanes than a vector holds are asked for."""
        if number not in self._found:
            cycles, unit = self._units[number]
            try:
                self._found[number] = found_of(self._wish, unit, cycles, estimate(unit).area)
            except UserError:
                self._found[number] = None
        return self._found[number]


def _units(config: UnitConfig) -> Iterator[UnitConfig]:
    """All that a unit may be. Not every unit may be made of adders."""
    for folding in legal_foldings(config.layer.config):
        for made_of in choices_of(config.made_of):
            with contextlib.suppress(UserError):
                yield replace(config, folding=folding, made_of=made_of)


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
    # Another folding of the same materials.
    asked = config.made_of
    made_of = MadeOf(products=asked.products or "dsp", requantise=asked.requantise or "dsp")
    alike = LayerSpace(replace(config, made_of=made_of), wish)
    if not _holds_weights(config, wish.device) or not (best := fewest_cycles(alike)).fits:
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
