"""Whole networks of the benchmark, and what peers' networks of the same graphs reach.

`scripts.bench` runs them. All steps count: additions, pools, classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from golden.contract.folding import DEFAULT_LANES
from golden.layers import load_network
from golden.support.numbers import number
from golden.support.tables import table_of
from hw.estimate.choose_for_device import choose
from hw.estimate.choose_network_folding import cheapest_within
from hw.estimate.network_space import NetworkSpace
from hw.estimate.wish import Wish
from hw.export.network_verilog import generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.synth.performance import Performance
from hw.synth.synthesis import PLACEABLE, Synthesis, synthesise
from hw.targets.area import URAM_KBIT, Area
from hw.targets.devices import find_device
from hw.targets.families import TARGETS
from scripts.marked_page import page_table
from sim.bulk.simulate import simulate
from sim.cases.stimulus import random_images

SEED = 16
#: Frames that are simulated. The last one ends an interval behind the one before.
FRAMES = 3
#: Size of the block RAMs that the table counts in.
BLOCK_KBIT = 36
#: What the table says of its figures.
ORIGIN = """\
Cycles are simulated in Verilator, and every bit is compared with the integer model. LUTs, flip-flops, DSPs and
memories are synthesised by Yosys, for Xilinx [each unit by itself](fpga.md#area-and-clock). Clocks are placed and
routed by nextpnr on an ECP5-85F of speed grade 6, the best of the seeds; for Xilinx there are none. Nothing is
estimated.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A network of the table.

    Attributes:
        network: its name.
        what: what it is, in words.
        target: FPGA family.
        cycles: cycles of a frame that each step may take, with as few multipliers as it can; None where it is to be
            as fast as it can on the device.
        device: the device that it is to fit; None where it is for a family.
    """

    network: str
    what: str
    target: str
    cycles: int | None = None
    device: str | None = None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A network of a peer, as its authors report it; None where they do not say.

    Attributes:
        what: system and network.
        on: device.
        cycles: cycles of a frame.
        used: ideal cycles over those.
        lut, dsp: area.
        bram: block RAMs of 36 kbit, an UltraRAM for eight.
        dsp_efficiency: useful multiplications of a DSP and cycle.
        fmax_mhz, fps: clock, and frames a second.
        source: where that is said.
    """

    what: str
    on: str
    source: str
    cycles: int | None = None
    used: float | None = None
    lut: int | None = None
    dsp: int | None = None
    bram: float | None = None
    dsp_efficiency: float | None = None
    fmax_mhz: float | None = None
    fps: float | None = None


ROWS = (
    Row(network="resnet20_po2", what="ResNet-20, power-of-two scales", target="xcup", cycles=32_768),
    Row(network="resnet20", what="ResNet-20", target="xcup", cycles=32_768),
    Row(network="resnet8_po2", what="ResNet-8, power-of-two scales", target="xcup", cycles=8_192),
    Row(network="resnet8", what="ResNet-8", target="xcup", cycles=8_192),
    Row(network="resnet20_xvolution", what="ResNet-20 with X-volution", target="xcup", cycles=32_768),
    Row(network="resnet8_xvolution", what="ResNet-8, 28x28x1, with X-volution", target="ecp5", device="ecp5-85f"),
    Row(
        network="resnet8_xvolution",
        what="the same, half as fast",
        target="ecp5",
        cycles=100_352,
        device="ecp5-85f",
    ),
    Row(
        network="fashion_mnist_qat4",
        what="the same network, trained, in 4 bits",
        target="ecp5",
        device="ecp5-85f",
    ),
)
_NN2FPGA = "arXiv 2309.15631"
PEERS = (
    Peer(
        what="NN2FPGA, ResNet-20, power-of-two scales",
        on="KV260 (K26)",
        cycles=32_890,
        used=0.996,
        lut=65_000,
        dsp=636,
        bram=60.5 + 12 * URAM_KBIT / BLOCK_KBIT,
        dsp_efficiency=1.95,
        fmax_mhz=250,
        fps=7_601,
        source=_NN2FPGA,
    ),
    Peer(
        what="NN2FPGA, ResNet-8, power-of-two scales",
        on="KV260 (K26)",
        cycles=8_291,
        used=0.988,
        fmax_mhz=250,
        fps=30_153,
        source=_NN2FPGA,
    ),
    Peer(what="NN2FPGA, ResNet-8, 4 bit", on="KV260 (K26)", fps=61_035, source=_NN2FPGA),
    Peer(what="FINN, ResNet-8, 4 bit", on="K26", used=0.981, fps=13_475, source="Hamanaka 2023"),
    Peer(what="nn2rtl, ResNet-8", on="ZCU104", cycles=14_774, dsp=1_717, dsp_efficiency=0.49, source="its repository"),
    Peer(what="fpgaConvNet, ResNet-8", on="Z7045", dsp_efficiency=0.5, fps=6_790, source="MLPerf Tiny 1.1"),
)
COLUMNS = ("network", "on", "cycles", "of ideal", "LUT", "FF", "DSP", "BRAM36", "MAC/DSP", "MHz", "frames/s")


def configuration(row: Row) -> NetworkConfig:
    """The network of a row as it is asked for."""
    network, target = load_network(row.network), TARGETS[row.target]
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, DEFAULT_LANES), target=target)
    if row.cycles is None:
        assert row.device is not None, "cycles, or a device"
        return choose(NetworkSpace(base, Wish(device=find_device(row.device)))).found.config
    return NetworkConfig(network=network, foldings=cheapest_within(base, row.cycles), target=target)


def measure(row: Row, options: Any) -> dict[str, Any]:
    """Simulate and synthesise one network. Returns its figures; None for each that there is not."""
    plan = NetworkPlan(configuration(row))
    core = generate_network(plan)
    frames = random_images(np.random.default_rng(SEED), plan.config.network.image, FRAMES)
    result = simulate(core, frames, simulator=options.simulator)
    cycles, timing = result.frame_cycles[-1], core.manifest["timing"]
    figures: dict[str, Any] = {
        "network": row.what,
        "name": row.network,
        "on": row.device or row.target,
        "macs": sum(step.macs for step in plan.config.network.steps),
        "ideal_frame_cycles": timing["ideal_frame_cycles"],
        "frame_cycles": cycles,
        "passed": result.passed and not result.timing_complaints(timing),
    }
    if options.cycles or cycles is None:
        return figures
    seeds = options.seeds if row.target in PLACEABLE else None
    synthesis = synthesise(core, device=row.device, seeds=seeds)
    area = synthesis.area
    performance = Performance(macs=figures["macs"], frame_cycles=cycles, dsp=area.dsp, fmax_mhz=synthesis.fmax_mhz)
    return figures | {
        **synthesised_figures(synthesis, performance),
        "uram": area.uram,
        "bram36": _blocks(area, plan.config.target.fabric.block_kbit),
        "fps": performance.frames_per_second,
    }


def synthesised_figures(synthesis: Synthesis, performance: Performance) -> dict[str, Any]:
    """What units and networks are compared by; None for each figure that there is not."""
    area, timing = synthesis.area, synthesis.timing
    return {
        "lut": area.lut,
        "ff": area.ff,
        "dsp": area.dsp,
        "bram": area.bram,
        "fmax_mhz": synthesis.fmax_mhz,
        "seeds": timing and {str(seed): fmax for seed, fmax in timing.seeds.items()},
        "dsp_efficiency": performance.dsp_efficiency,
    }


def _blocks(area: Area, block_kbit: int) -> float:
    """Memories in block RAMs of 36 kbit."""
    return (area.bram * block_kbit + area.uram * URAM_KBIT) / BLOCK_KBIT


def cells(figures: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    cycles, ideal = figures["frame_cycles"], figures["ideal_frame_cycles"]
    return [
        figures["network"],
        figures["on"],
        number(cycles) if figures["passed"] else "wrong",
        _share(ideal / cycles if cycles else None),
        *(_number(figures.get(key)) for key in ("lut", "ff", "dsp", "bram36")),
        _decimals(figures.get("dsp_efficiency")),
        _rounded(figures.get("fmax_mhz")),
        _rounded(figures.get("fps")),
    ]


def peer_cells(peer: Peer) -> list[str]:
    """A row of the table for a peer, with its source."""
    return [
        f"{peer.what} ({peer.source})",
        peer.on,
        _number(peer.cycles),
        _share(peer.used),
        _number(peer.lut),
        "",
        _number(peer.dsp),
        _number(peer.bram),
        _decimals(peer.dsp_efficiency),
        _rounded(peer.fmax_mhz),
        _rounded(peer.fps),
    ]


def table(figures: Sequence[Mapping[str, Any]]) -> Table:
    """All rows, the peers' below."""
    found = table_of(*COLUMNS, title="networks", box=box.SIMPLE, collapse_padding=True, pad_edge=False, words=2)
    for row in figures:
        found.add_row(*cells(row))
    found.add_section()
    for peer in PEERS:
        found.add_row(*peer_cells(peer), style="dim")
    return found


def markdown(figures: Sequence[Mapping[str, Any]], earlier: str) -> str:
    """The table as a page has it, with what it says of its figures.

    Args:
        figures: of the networks that have been measured.
        earlier: the table as it was. The rows of other networks stay as they are there.
    """
    rows = {row.what: [row.what, row.device or row.target, *[""] * (len(COLUMNS) - 2)] for row in ROWS}
    rows |= {found[0]: found for line in earlier.splitlines() if (found := _cells_of(line)) and found[0] in rows}
    rows |= {row["network"]: cells(row) for row in figures}
    return f"{ORIGIN}\n{page_table(COLUMNS, [*rows.values(), *map(peer_cells, PEERS)], words=2)}\n"


def _cells_of(line: str) -> list[str]:
    """The cells of a line of a table, none of another line."""
    return [cell.strip() for cell in line.split("|")[1:-1]]


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
