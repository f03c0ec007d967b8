"""Automatic folding: the cheapest unit of a layer that reaches a frame rate on a device, and what fits at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig
from golden.support.cli import UserError
from golden.support.numbers import at_most, number
from hw.estimate.estimate import Estimate, estimate
from hw.estimate.fit import fits, uses
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import fewest_dsps, products_a_cycle
from hw.plan.geometry import Geometry
from hw.plan.schedule import find_schedule
from hw.plan.scope import scope_of
from hw.targets.devices import CAPACITY

#: Of units whose numbers of multipliers differ by no more than this share, LUTs say which is the cheapest.
ALIKE = 0.03
#: What the cheapest unit is, in words.
CHEAPEST = f"fewest DSPs; where these are within {100 * ALIKE:g} %, fewest LUTs"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a unit is to reach.

    Attributes:
        device: one of `CAPACITY`.
        fps: frames a second, at least.
        clock_mhz: clock that the unit is expected to run at.
    """

    device: str
    fps: float
    clock_mhz: float


def choose_folding(config: UnitConfig, wish: Wish) -> Estimate:
    """The estimate of the cheapest unit that reaches ``wish`` and is like ``config`` but for its folding.

    Raises `UserError` if no unit reaches ``wish``. The message says what the device can reach.
    """
    rates = {folding: 1e6 * wish.clock_mhz / cycles for folding, cycles in _frame_cycles(config).items()}
    enough = [folding for folding, rate in rates.items() if rate >= wish.fps]
    if found := _fitting(config, enough, wish.device):
        return cheapest(found)
    asked = f"{number(wish.fps)} fps are out of reach on {wish.device} at {number(wish.clock_mhz)} MHz"
    best = _fastest(config, wish.device)
    if best is None:
        raise UserError(f"{asked}: no folding of the layer fits")
    rate, folding = at_most(1e6 * wish.clock_mhz / best.frame_cycles), best.config.folding
    raise UserError(f"{asked}: at most {rate} frames/s, with simd {folding.simd}, pe {folding.pe}")


def cheapest(units: Iterable[Estimate]) -> Estimate:
    """The cheapest of ``units``, as `CHEAPEST` says. Their target's multipliers must be known."""
    counted = [(unit.dsp, unit.lut, unit) for unit in units if unit.dsp is not None]
    most = (1 + ALIKE) * min(dsp for dsp, _, _ in counted)
    _, _, unit = min((each for each in counted if each[0] <= most), key=lambda each: (each[1], each[0]))
    return unit


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
    best = _fastest(config, device)
    if best is None:
        raise UserError(f"{said}; no folding of the layer fits")
    raise UserError(f"{said}; the fastest that fit are simd {best.config.folding.simd}, pe {best.config.folding.pe}")


def legal_foldings(config: LayerConfig) -> Iterator[Folding]:
    """All foldings of a layer."""
    for simd in _divisors(config.in_channels):
        for pe in [simd] if config.depthwise else _divisors(config.out_channels):
            yield Folding(simd=simd, pe=pe)


def _fastest(config: UnitConfig, device: str) -> Estimate | None:
    """The fastest unit that fits into ``device``, the cheapest of those that are as fast; None where none fits."""
    cycles = _frame_cycles(config)
    for _, foldings in groupby(sorted(cycles, key=lambda folding: cycles[folding]), lambda folding: cycles[folding]):
        if found := _fitting(config, foldings, device):
            return cheapest(found)
    return None


def _frame_cycles(config: UnitConfig) -> dict[Folding, int]:
    layer, model = config.layer.config, scope_of(config).cycle_model
    return {
        folding: find_schedule(Geometry(config=layer, folding=folding), model).frame_cycles
        for folding in legal_foldings(layer)
    }


def _fitting(config: UnitConfig, foldings: Iterable[Folding], device: str) -> list[Estimate]:
    """The units with ``foldings`` that can be built and fit into ``device``."""
    found = []
    for folding in foldings:
        candidate = replace(config, folding=folding)
        if _is_hopeless(candidate, device):
            continue
        try:
            unit = estimate(candidate)
        except UserError:  # more lanes than a vector holds
            continue
        if fits(unit, device):
            found.append(unit)
    return found


def _is_hopeless(config: UnitConfig, device: str) -> bool:
    """Whether a device cannot hold the products of a cycle or the weights. This is far quicker than `fits`."""
    layer, fabric, has = config.layer.config, config.target.fabric, CAPACITY[device]
    hard = fewest_dsps(config)
    # A product of adders takes at least a LUT.
    if hard > has.dsp or (not hard and products_a_cycle(config) > has.lut):
        return True
    geometry = Geometry(config=layer, folding=config.folding)
    taps = len(geometry.conv_taps) + len(geometry.attn_taps)
    weights = layer.out_channels * layer.fan_in_channels * taps * layer.weight_bits
    return weights > has.bram * fabric.block_kbit * 1024 + has.lut * 2**fabric.lut_inputs


def _divisors(count: int) -> list[int]:
    return [d for d in range(1, count + 1) if count % d == 0]
