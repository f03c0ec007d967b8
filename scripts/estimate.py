"""``python -m scripts.estimate``: estimates of units and networks beside what Yosys makes of them.

Unless a row says otherwise, layers are 16 -> 16 channels, 32x32 pixels, 3x3, 8 bit, with all eight
directions and signed input. Reloadable units take all shifts that ``hw.build`` allows by default.
Random networks are those of `golden.layers.random_network` with a seed. They have all ops.

Example:
    python -m scripts.estimate                    about twenty minutes the first time

Exit status: 0 if LUTs and flip-flops are at most 20 % off and multipliers and block RAMs are exact, 1 if not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from rich.table import Table

from golden.contract.folding import Folding
from golden.contract.layer_config import FIELD_RANGES
from golden.contract.network.network import IntegerNetwork
from golden.contract.ranges import Range
from golden.layers import load_network
from golden.layers.random_layer import random_layer
from golden.layers.random_network import random_network
from golden.layers.residual import random_resnet
from golden.support import cli
from golden.support.progress import bars
from golden.support.tables import show, table_of
from hw.estimate.estimate import Estimate, estimate
from hw.estimate.fit import TOLERANCE
from hw.estimate.network import NetworkEstimate, estimate_network
from hw.export.network_verilog import generate_network
from hw.export.verilog import generate
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.options import ATTN_SHIFT
from hw.plan.config import UnitConfig
from hw.plan.made_of import USUAL, MadeOf
from hw.plan.reload import Reload
from hw.synth.mapping import map_to_cells
from hw.synth.resources import total_area
from hw.targets.area import Area
from hw.targets.families import TARGETS

SEED = 16
TURNS, ADDERS = MadeOf(requantise="adders"), MadeOf(products="adders", requantise="adders")
RELOAD = Reload(attn_shift=ATTN_SHIFT, out_shift=Range(*FIELD_RANGES["out_shift"]))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One unit of the table.

    Attributes:
        what: what distinguishes its layer, in words.
        reload: what may change at run time; None for a frozen unit.
        made_of: what its multiplications are made of.
        fields: fields of the layer that differ from those of the module's docstring.
    """

    target: str
    simd: int
    pe: int
    what: str = ""
    reload: Reload | None = None
    made_of: MadeOf = USUAL
    fields: Mapping[str, Any] = field(default_factory=dict)


ROWS = (
    Row(target="ecp5", simd=1, pe=1),
    Row(target="ecp5", simd=1, pe=2),
    Row(target="ecp5", simd=2, pe=4),
    Row(target="ecp5", simd=2, pe=4, what="unsigned", fields={"in_signed": False}),
    Row(target="ecp5", simd=2, pe=4, what="plain", fields={"attn_offsets": ()}),
    Row(target="ecp5", simd=4, pe=4),
    Row(target="ecp5", simd=4, pe=4, what="4 bit", fields={"in_bits": 4, "weight_bits": 4}),
    Row(target="ecp5", simd=4, pe=4, what="depthwise", fields={"groups": 16}),
    Row(target="ecp5", simd=2, pe=2, what="stride 2", fields={"stride": 2}),
    Row(target="ecp5", simd=2, pe=2, what="5x5", fields={"kernel": 5}),
    Row(target="ecp5", simd=4, pe=8),
    Row(target="ecp5", simd=16, pe=1),
    Row(target="xcup", simd=1, pe=1),
    Row(target="xcup", simd=2, pe=4),
    Row(target="xcup", simd=2, pe=4, what="unsigned", fields={"in_signed": False}),
    Row(target="xcup", simd=2, pe=4, what="plain", fields={"attn_offsets": ()}),
    Row(target="xcup", simd=4, pe=4),
    Row(target="xcup", simd=4, pe=4, what="4 bit", fields={"in_bits": 4, "weight_bits": 4}),
    Row(target="xcup", simd=4, pe=4, what="depthwise", fields={"groups": 16}),
    Row(target="xcup", simd=2, pe=2, what="stride 2", fields={"stride": 2}),
    Row(target="xcup", simd=2, pe=2, what="5x5", fields={"kernel": 5}),
    Row(target="xcup", simd=8, pe=8),
    Row(target="xcup", simd=1, pe=16),
    Row(target="xcup", simd=16, pe=2),
    Row(target="xc7", simd=1, pe=2),
    Row(target="xc7", simd=2, pe=4, what="unsigned", fields={"in_signed": False}),
    Row(target="xc7", simd=2, pe=2, what="stride 2", fields={"stride": 2}),
    Row(target="xc7", simd=4, pe=4),
    Row(target="ecp5", simd=2, pe=2, what="8 heads", fields={"product": "dynamic", "heads": 8}),
    Row(target="ecp5", simd=2, pe=2, what="1 head", fields={"product": "dynamic", "heads": 1}),
    # Too many products for the largest device: those of the attention are made of adders.
    Row(target="ecp5", simd=2, pe=4, what="8 heads", fields={"product": "dynamic", "heads": 8}),
    Row(target="xcup", simd=4, pe=4, what="8 heads", fields={"product": "dynamic", "heads": 8}),
    Row(target="xcup", simd=4, pe=4, what="1 head", fields={"product": "dynamic", "heads": 1}),
    Row(target="xc7", simd=4, pe=2, what="4 heads", fields={"product": "dynamic", "heads": 4}),
    Row(target="ecp5", simd=1, pe=2, what="requantised by adders", made_of=TURNS),
    Row(target="ecp5", simd=1, pe=1, what="plain, all adders", made_of=ADDERS, fields={"attn_offsets": ()}),
    Row(target="xcup", simd=1, pe=8, what="requantised by adders", made_of=TURNS),
    Row(target="xcup", simd=4, pe=2, what="requantised by adders", made_of=TURNS),
    Row(target="xcup", simd=1, pe=1, what="plain, all adders", made_of=ADDERS, fields={"attn_offsets": ()}),
    Row(target="ecp5", simd=1, pe=1, reload=RELOAD),
    Row(target="ecp5", simd=2, pe=4, reload=RELOAD),
    Row(target="ecp5", simd=1, pe=2, what="one set", reload=replace(RELOAD, single_buffered=True)),
    Row(target="ecp5", simd=2, pe=2, what="plain", reload=RELOAD, fields={"attn_offsets": ()}),
    Row(target="ecp5", simd=2, pe=2, what="stride 2", reload=RELOAD, fields={"stride": 2}),
    Row(target="ecp5", simd=4, pe=4, what="depthwise", reload=RELOAD, fields={"groups": 16}),
    Row(target="ecp5", simd=2, pe=2, what="8 heads", reload=RELOAD, fields={"product": "dynamic", "heads": 8}),
    Row(target="xcup", simd=1, pe=1, reload=RELOAD),
    Row(target="xcup", simd=4, pe=4, reload=RELOAD),
    Row(target="xcup", simd=2, pe=4, what="one set", reload=replace(RELOAD, single_buffered=True)),
    Row(target="xcup", simd=4, pe=4, what="8 heads", reload=RELOAD, fields={"product": "dynamic", "heads": 8}),
    Row(target="xc7", simd=4, pe=4, reload=RELOAD),
)


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """One network of the table.

    Attributes:
        lanes: what ``--lanes`` says.
        what: what it is, in words.
        make: the network.
    """

    target: str
    lanes: int
    what: str
    make: Callable[[], IntegerNetwork]

    @property
    def config(self) -> NetworkConfig:
        network = self.make()
        return NetworkConfig(network=network, foldings=up_to_lanes(network, self.lanes), target=TARGETS[self.target])


def random(seed: int) -> IntegerNetwork:
    return random_network(np.random.default_rng(seed), steps=5)


NETWORKS: Mapping[str, Callable[[], IntegerNetwork]] = {
    "digits": partial(load_network, "digits"),
    "residual": partial(random_resnet, 3, side=6, widths=(2, 4), blocks=(1, 1), classes=3),
    **{f"random {seed}": partial(random, seed) for seed in (2, 9, 34, 36)},
}
NETWORK_ROWS = tuple(
    NetworkRow(target=target, lanes=lanes, what=what, make=make)
    for target, lanes in (("ecp5", 1), ("xcup", 2))
    for what, make in NETWORKS.items()
)


#: A row, its estimate and its area after synthesis.
Measured = tuple[Row | NetworkRow, Estimate | NetworkEstimate, Area]


def main(argv: list[str]) -> int:
    cli.Parser(prog="python -m scripts.estimate", description=__doc__).parse_args(argv)
    measured: list[Measured] = []
    rows: tuple[Row | NetworkRow, ...] = (*ROWS, *NETWORK_ROWS)
    with bars() as bar:
        task = bar.add_task("", total=len(rows))
        for row in rows:
            bar.update(task, description=f"{row.target} {_folding(row)} {row.what}")
            measured.append((row, *measure(row)))
            bar.advance(task)
    kinds = {
        f"frozen units (seed {SEED})": lambda row: isinstance(row, Row) and row.reload is None,
        f"reloadable units (seed {SEED})": lambda row: isinstance(row, Row) and row.reload is not None,
        "networks": lambda row: isinstance(row, NetworkRow),
    }
    for title, belongs in kinds.items():
        show(_table(title, [each for each in measured if belongs(each[0])]))
    return 0 if all(holds(guess, truth) for _, guess, truth in measured) else 1


def measure(row: Row | NetworkRow) -> tuple[Estimate | NetworkEstimate, Area]:
    """The estimate of a unit or a network, and its area after synthesis."""
    if isinstance(row, NetworkRow):
        plan = NetworkPlan(row.config)
        return estimate_network(plan), total_area(map_to_cells(generate_network(plan)))
    fields = {"in_channels": 16, "out_channels": 16, "height": 32, "width": 32, "in_signed": True} | dict(row.fields)
    layer = random_layer(np.random.default_rng(SEED), **fields)
    folding, target = Folding(simd=row.simd, pe=row.pe), TARGETS[row.target]
    config = UnitConfig(layer=layer, folding=folding, target=target, reload=row.reload, made_of=row.made_of)
    truth = total_area(map_to_cells(generate(config)))
    return estimate(config), truth


def holds(guess: Estimate | NetworkEstimate, truth: Area) -> bool:
    """Whether an estimate is as good as it promises."""
    close = all(abs(_error(g, t)) <= TOLERANCE for g, t in ((guess.lut, truth.lut), (guess.ff, truth.ff)))
    return close and (guess.dsp, guess.bram) == (truth.dsp, truth.bram)


def _error(guess: int, truth: int) -> float:
    return guess / truth - 1


def _folding(row: Row | NetworkRow) -> str:
    return f"{row.lanes} lanes" if isinstance(row, NetworkRow) else f"{row.simd} x {row.pe}"


def _table(title: str, measured: list[Measured]) -> Table:
    table = table_of(
        *("design", "folding", "LUT", "error", "FF", "error", "DSP", "BRAM"),
        title=f"{title}: what synthesis takes, and how far off the estimate is",
    )
    for row, guess, truth in measured:
        exact = [f"{g:g}" if g == t else f"{g} is {t:g}" for g, t in ((guess.dsp, truth.dsp), (guess.bram, truth.bram))]
        table.add_row(
            f"{row.target} {row.what}" + ("" if holds(guess, truth) else ": off"),
            _folding(row),
            *(f"{truth.lut:,}", f"{_error(guess.lut, truth.lut):+.1%}"),
            *(f"{truth.ff:,}", f"{_error(guess.ff, truth.ff):+.1%}"),
            *exact,
        )
    return table


if __name__ == "__main__":
    cli.run(main)
