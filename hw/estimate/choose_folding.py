"""Automatic folding: the cheapest unit of a layer that reaches a frame rate on a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig
from golden.support.cli import UserError
from hw.estimate.estimate import Estimate, estimate
from hw.plan.config import UnitConfig
from hw.plan.geometry import Geometry
from hw.plan.schedule import find_schedule
from hw.targets.devices import CAPACITY
from hw.targets.families import NARROW_OPERAND


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


def legal_foldings(config: LayerConfig) -> Iterator[Folding]:
    """All foldings of a layer."""
    for simd in _divisors(config.in_channels):
        for pe in [simd] if config.depthwise else _divisors(config.out_channels):
            yield Folding(simd=simd, pe=pe)


def choose_folding(config: UnitConfig, wish: Wish) -> Estimate:
    """The estimate of the cheapest unit that reaches ``wish`` and is like ``config`` but for its folding.

    The cheapest unit has the fewest multipliers, and of those with as few the fewest LUTs.

    Raises `UserError` if no unit reaches ``wish``. The message says what the device can reach.
    """
    layer = config.layer.config
    rates = {
        folding: 1e6 * wish.clock_mhz / find_schedule(Geometry(config=layer, folding=folding)).frame_cycles
        for folding in legal_foldings(layer)
    }
    enough = [
        unit for folding, rate in rates.items() if rate >= wish.fps and (unit := _fitting(config, folding, wish.device))
    ]
    if enough:
        return min(enough, key=lambda unit: (unit.dsp, unit.lut))
    asked = f"fps {wish.fps:g} is out of reach on {wish.device} at {wish.clock_mhz:g} MHz"
    for folding, rate in sorted(rates.items(), key=lambda item: -item[1]):
        if _fitting(config, folding, wish.device):
            raise UserError(f"{asked}, at most {rate:.1f} frames/s are (simd {folding.simd}, pe {folding.pe})")
    raise UserError(f"{asked}: no folding of the layer fits")


def fits(unit: Estimate, device: str) -> bool:
    """Whether the estimate says that a unit fits into ``device``."""
    has = CAPACITY[device]
    assert unit.dsp is not None and unit.bram is not None
    return unit.lut <= has.lut and unit.ff <= has.ff and unit.dsp <= has.dsp and unit.bram <= has.bram


def _fitting(config: UnitConfig, folding: Folding, device: str) -> Estimate | None:
    """The unit with ``folding`` if it can be built and fits the device."""
    if _is_hopeless(config.layer.config, folding, device):
        return None
    try:
        unit = estimate(replace(config, folding=folding))
    except UserError:  # more lanes than a vector holds
        return None
    return unit if fits(unit, device) else None


def _is_hopeless(config: LayerConfig, folding: Folding, device: str) -> bool:
    """Whether a device cannot hold the products of a cycle, two to a multiplier. This is far quicker than `fits`."""
    geometry, has = Geometry(config=config, folding=folding), CAPACITY[device]
    lanes = folding.simd * (1 if config.depthwise else folding.pe)
    products = lanes * (len(geometry.conv_taps) + len(geometry.attn_taps))
    hard = min(config.weight_bits, config.in_bits) > NARROW_OPERAND
    # A product of adders takes at least a LUT.
    return -(-products // 2) > has.dsp if hard else products > has.lut


def _divisors(count: int) -> list[int]:
    return [d for d in range(1, count + 1) if count % d == 0]
