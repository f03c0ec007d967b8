"""Cycles a frame of the simulated unit against the ideal, and against the strongest peer's plain convolution.

The layer is 3x3, 16 -> 16 channels, 32x32, 8 bit, with all eight attention directions. The
peer is FINN's RTL chain padding, sliding window, matrix-vector unit for the same convolution
without attention, its figures measured once in Verilator.

Examples:
    python -m scripts.bench_cycles
    python -m scripts.bench_cycles --frames 5 --simulator verilator
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from golden import cli
from golden.layer import LayerConfig
from golden.random_layer import random_layer
from golden.streams import Folding
from hw.geometry import Geometry
from hw.verilog import generate
from sim.bulk import simulate
from sim.simulators import SIMULATORS
from sim.stimulus import random_frames

SEED = 16


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The peer's cycles a frame, those of its ideal, and its convolution multipliers."""

    multipliers: int
    frame: int
    ideal: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One folding of the layer, and the peer's nearest."""

    simd: int
    pe: int
    stride: int = 1
    peer: Peer


ROWS = (
    Row(simd=1, pe=2, peer=Peer(multipliers=16, frame=147_536, ideal=147_456)),
    Row(simd=2, pe=4, peer=Peer(multipliers=64, frame=36_887, ideal=36_864)),
    Row(simd=4, pe=8, peer=Peer(multipliers=256, frame=9_280, ideal=9_216)),
    Row(simd=8, pe=4, stride=2, peer=Peer(multipliers=256, frame=2_369, ideal=2_304)),
    Row(simd=8, pe=8, peer=Peer(multipliers=576, frame=4_161, ideal=4_096)),
    Row(simd=16, pe=16, peer=Peer(multipliers=2304, frame=1_157, ideal=1_024)),
)


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    table = Table(
        title=f"cycles a frame, {options.frames} frames back to back in {options.simulator}, seed {SEED}",
        caption="MACs: convolution multipliers; on the right the peer",
    )
    for heading in ("simd", "pe", "stride", "MACs", "ideal", "cycles", "used", "MACs", "cycles", "used"):
        table.add_column(heading, justify="right", no_wrap=True)
    failed = False
    for row in track(ROWS, description="simulating", console=Console(stderr=True)):
        rng = np.random.default_rng(SEED)
        layer = random_layer(rng, in_channels=16, out_channels=16, height=32, width=32, stride=row.stride)
        folding = Folding(simd=row.simd, pe=row.pe)
        core = generate(layer, folding)
        frames = random_frames(rng, layer.config, options.frames)
        result = simulate(core, layer, folding, frames, simulator=options.simulator)
        failed |= not result.passed
        cycles = result.frame_cycles[-1]
        ideal = core.manifest["timing"]["ideal_frame_cycles"]
        table.add_row(
            *map(str, (row.simd, row.pe, row.stride, _conv_multipliers(layer.config, folding), ideal, cycles)),
            f"{ideal / cycles:.1%}" if cycles else "-",
            *map(str, (row.peer.multipliers, row.peer.frame)),
            f"{row.peer.ideal / row.peer.frame:.1%}",
        )
    Console().print(table)
    return 1 if failed else 0


def _conv_multipliers(config: LayerConfig, folding: Folding) -> int:
    return folding.simd * folding.pe * len(Geometry(config=config, folding=folding).conv_taps)


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.bench_cycles", description=__doc__)
    parser.add_argument("--frames", type=cli.bounded(int, 2, 100), default=2, help="frames to send (default: 2)")
    parser.add_argument("--simulator", choices=list(SIMULATORS), default="icarus", help="(default: icarus)")
    return parser


if __name__ == "__main__":
    cli.run(main)
