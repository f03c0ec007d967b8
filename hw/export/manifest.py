"""The unit's manifest, ``xvolution.json``: what a user, a test bench or a script must know of it."""

from __future__ import annotations

import json
from typing import Any

from golden.contract.ranges import Range
from golden.contract.streams import Payload
from hw.blocks.memory import kind
from hw.control.weight_image import image_beats
from hw.plan import frame_schedule as frame_cycles
from hw.plan import schedule as cycles
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.unit.output_stream import OutputStream
from hw.unit.unit import Unit

FORMAT = 1

_PORTS = {
    "aclk": "clock, rising edge",
    "aresetn": "synchronous reset, active low",
    "s_axis_tvalid": "input beat offered",
    "s_axis_tready": "input beat taken",
    "s_axis_tdata": "input elements, element j at bit j*in_bits",
    "m_axis_tvalid": "output beat offered",
    "m_axis_tready": "output beat taken",
    "m_axis_tdata": "output elements, element j at bit j*out_bits",
    "m_axis_tlast": "last beat of a frame",
}
#: The same of ports that only a reloadable unit has.
_RELOAD_PORTS = {
    "s_axis_tlast": "last beat of a frame",
    "m_axis_tuser": "with m_axis_tlast: the frame is damaged",
    "s_axi_awaddr": "address of a write, in bytes",
    "s_axi_awprot": "ignored",
    "s_axi_awvalid": "address offered",
    "s_axi_awready": "address taken",
    "s_axi_wdata": "word to write",
    "s_axi_wstrb": "bytes to write, all of them",
    "s_axi_wvalid": "word offered",
    "s_axi_wready": "word taken",
    "s_axi_bresp": "0 okay, 2 refused",
    "s_axi_bvalid": "answer offered",
    "s_axi_bready": "answer taken",
    "s_axi_araddr": "address of a read, in bytes",
    "s_axi_arprot": "ignored",
    "s_axi_arvalid": "address offered",
    "s_axi_arready": "address taken",
    "s_axi_rdata": "word read",
    "s_axi_rresp": "0 okay, 2 refused",
    "s_axi_rvalid": "word offered",
    "s_axi_rready": "word taken",
    "s_axis_weights_tvalid": "beat of a weight image offered",
    "s_axis_weights_tready": "beat taken",
    "s_axis_weights_tdata": "32 bits of the image",
    "s_axis_weights_tlast": "last beat of the image",
}


def manifest(config: UnitConfig, unit: Unit) -> dict[str, Any]:
    """Plain data of ``unit``: configuration, ports, streams, widths and their bounds, latencies, cycles."""
    c = config.layer.config
    p = config.prediction
    ports = unit.signature.members
    return {
        "format": FORMAT,
        "top": "xvolution",
        "layer": json.loads(c.to_json()),
        "folding": {"simd": config.folding.simd, "pe": config.folding.pe},
        "target": {"name": config.target.name, "packed": config.plan.packed},
        "ports": [
            {
                "name": name,
                "direction": "input" if ports[name].flow.name == "In" else "output",
                "width": ports[name].shape if isinstance(ports[name].shape, int) else ports[name].shape.width,
                "description": text,
            }
            for name, text in (_PORTS | ({} if config.reload is None else _RELOAD_PORTS)).items()
        ],
        "streams": {
            "s_axis": _stream(config.input_payload, c.in_channels * c.height * c.width),
            "m_axis": _stream(config.output_payload, c.out_channels * c.out_height * c.out_width),
        },
        **({} if config.reload is None else {"reload": _reload(config, config.reload)}),
        "widths": _widths(config),
        "memories": _memories(config, unit),
        "stages": {
            "row_store": (frame_cycles if config.reload else cycles).WRITE_TO_ISSUE + 1 + unit.row_store.latency,
            "window": unit.window.latency,
            **({} if unit.similarity is None else {"similarity": unit.sims_wait}),
            **unit.lane.stage_latencies,
            "output_stream": OutputStream.latency,
        },
        "timing": {
            "predicted_latency": p.first_output_issue + unit.latency,
            "predicted_frame_cycles": p.frame_cycles,
            "ideal_frame_cycles": config.geometry.ideal_frame_cycles,
        },
    }


def _reload(config: UnitConfig, reload: Reload) -> dict[str, Any]:
    """What software may change; registers are those of ``xvolution.h`` and its like."""
    c = config.layer.config
    return {
        "height": [c.smallest_frame, c.height],
        "width": [c.smallest_frame, c.width],
        "attn_shift": [reload.attn_shift.low, reload.attn_shift.high],
        "out_shift": [reload.out_shift.low, reload.out_shift.high],
        "single_buffered": reload.single_buffered,
        "weight_image_beats": image_beats(config),
    }


def _stream(payload: Payload, elements: int) -> dict[str, Any]:
    return {
        "lanes": payload.lanes,
        "element_bits": payload.bits,
        "signed": payload.signed,
        "tdata_bits": 8 * payload.bytes,
        "beats_per_frame": elements // payload.lanes,
    }


def _widths(config: UnitConfig) -> list[dict[str, Any]]:
    """Every intermediate's proven range, its bits, and what the bound follows from."""
    c, ranges = config.layer.config, config.ranges
    taps = "largest sum over a channel's {} taps, each weight with its worst input"
    rows: list[tuple[str, str, Range, int, str]] = [("window", "x", c.in_range, c.in_bits, "in_bits, in_signed")]

    def proven(stage: str, signal: str, values: Range, why: str) -> None:
        rows.append((stage, signal, values, values.signed_bits, why))

    if config.heads is None:
        proven("tap_macs", "conv_sum", ranges.conv_sum, taps.format("kernel"))
        if config.geometry.attn_taps:
            proven("tap_macs", "attn_sum", ranges.attn_sum, taps.format("attention"))
        worst = "2^attn_shift * conv_sum + centre * attn_sum, each weight with its worst product of inputs"
        proven("attention_combine", "combined", ranges.combined, worst)
    else:
        assert ranges.similarity is not None
        grouped, sums = config.group_ranges, [ranges.similarity.sums[t] for t in config.geometry.attn_taps]
        products = Range(min(s.low for s in sums), max(s.high for s in sums))
        proven("similarity", "sum", products, "a head's products of inputs, each at its worst")
        proven("similarity", "sim", grouped.sim, "sum, rounded and saturated to sim_bits")
        proven("tap_macs", "conv_sum", grouped.conv, "largest sum over a group's channels and kernel taps")
        proven("tap_macs", "attn_sum", grouped.attn, "largest sum over a head's channels at one attention tap")
        proven("attention_combine", "combined", ranges.accumulator, "every partial sum of acc")
    proven("channel_accumulate", "acc", ranges.accumulator, "sum of combined over the input channels, and the bias")
    proven("requantise", "scaled", ranges.scaled, "acc * multiplier, channel by channel")
    rows.append(("requantise", "y", c.out_range, c.out_bits, "out_bits, out_signed, relu: saturated"))
    return [
        {"stage": stage, "signal": signal, "low": r.low, "high": r.high, "bits": bits, "bound": why}
        for stage, signal, r, bits, why in rows
    ]


def _memories(config: UnitConfig, unit: Unit) -> list[dict[str, Any]]:
    """The memories of the unit, and whether its target keeps them in LUTs or block RAM; single words are constants."""
    g, stride, target = config.geometry, config.layer.config.stride, config.target
    rows = [("row_store", config.prediction.slots * stride, config.row_depth, config.pixel.size)]
    rows += [("window", 1, g.channel_beats, config.window_line(dy).size) for dy in g.rows]
    rows += [("sequencer", 1, depth, bits) for depth, bits in unit.sequencer.input_walk.queues]
    rows += [
        ("weights", config.lanes, unit.weights.words, elements * config.weight.width)
        for elements in unit.weights.bank_elements
    ]
    rows += [
        ("biases", config.folding.pe, unit.biases.words, config.bias.width),
        ("multipliers", config.folding.pe, unit.multipliers.words, config.multiplier.width),
        ("output_stream", 1, unit.fifo_depth, config.output_payload.lanes * config.output_payload.bits + 1),
    ]

    def kept_in(name: str, depth: int) -> str:
        # The pipeline's own memories are read in the cycle of their address.
        if name not in ("row_store", "weights", "biases", "multipliers"):
            return "lut"
        return kind(target, depth, read_only=name != "row_store" and config.reload is None)

    return [
        {"name": name, "count": count, "depth": depth, "width": width, "kept_in": kept_in(name, depth)}
        for name, count, depth, width in rows
        if depth > 1 and width > 0
    ]
