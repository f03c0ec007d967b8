"""The unit's manifest: what a user, a test bench or a script must know of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import wiring

from golden.contract.ranges import Range
from golden.contract.streams import Payload
from hw.blocks.memory import kind
from hw.blocks.memory_file import INCLUDED, MemoryFiles, MemoryFolder
from hw.plan.config_file import config_fields
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import image_beats, image_layout
from hw.unit import row_store
from hw.unit.unit import Unit

FORMAT = 1

#: What each port is for.
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
    # The following ports are those of a network's unit with a tap.
    "m_axis_tap_tvalid": "pixel from the centre of a window offered",
    "m_axis_tap_tready": "pixel taken",
    "m_axis_tap_tdata": "its elements, element j at bit j*in_bits",
    # The following ports are those of a reloadable unit.
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


def manifest(unit: Unit, ports: wiring.Signature, files: MemoryFiles | None) -> dict[str, Any]:
    """Plain data of a unit behind these ports: configuration, ports, streams, widths and bounds, latencies, cycles.

    ``files`` has the unit's memory files; None where all words are inline.
    """
    shapes, times = unit.shapes, unit.timetable
    config, c = shapes.config, shapes.layer.config
    return {
        "format": FORMAT,
        "top": config.name,
        "config": config_fields(config),
        "layer": json.loads(c.to_json()),
        "folding": {"simd": config.folding.simd, "pe": config.folding.pe},
        "target": {"name": config.target.name, "packed": shapes.plan.packed},
        "ports": [port_entry(name, member) for name, member in ports.members.items()],
        "streams": {
            "s_axis": stream_entry(shapes.input_payload, c.in_channels * c.height * c.width),
            "m_axis": stream_entry(shapes.output_payload, c.out_channels * c.out_height * c.out_width),
        },
        **({} if config.reload is None else {"reload": _reload(shapes), "weight_image": image_layout(shapes)}),
        "widths": proven_widths(shapes),
        "memories": _memories(unit),
        **({} if files is None or not files.contents else {"memory_files": memory_files(files.folder, files.contents)}),
        "stages": {
            "row_store": shapes.scope.cycle_model.write_to_issue + 1 + row_store.latency(config.target),
            **times.stages,
        },
        "timing": {
            "predicted_latency": shapes.schedule.first_output_issue + times.latency,
            "predicted_frame_cycles": shapes.schedule.frame_cycles,
            "ideal_frame_cycles": shapes.geometry.ideal_frame_cycles,
        },
    }


def memory_files(folder: MemoryFolder, paths: Iterable[str]) -> dict[str, Any]:
    """The files that the Verilog reads or includes, by path relative to it.

    The macro names the folder of those that are read. It is left out where all are included.
    """
    files = list(paths)
    macro = {} if all(path.endswith(INCLUDED) for path in files) else {"macro": folder.macro}
    return {**macro, "folder": folder.name, "files": files}


def port_entry(name: str, member: wiring.Member) -> dict[str, Any]:
    direction = "input" if member.flow is wiring.In else "output"
    return {"name": name, "direction": direction, "width": Shape.cast(member.shape).width, "description": _PORTS[name]}


def _reload(shapes: Shapes) -> dict[str, Any]:
    """What software may change. The registers themselves are in the C header and the other register files."""
    c, limits = shapes.layer.config, shapes.config.limits
    return {
        "height": [c.smallest_frame, c.height],
        "width": [c.smallest_frame, c.width],
        "attn_shift": [limits.attn_shift.low, limits.attn_shift.high],
        "out_shift": [limits.out_shift.low, limits.out_shift.high],
        "single_buffered": limits.single_buffered,
        "weight_image_beats": image_beats(shapes),
    }


def stream_entry(payload: Payload, elements: int) -> dict[str, Any]:
    return {
        "lanes": payload.lanes,
        "element_bits": payload.bits,
        "signed": payload.signed,
        "tdata_bits": 8 * payload.bytes,
        "beats_per_frame": elements // payload.lanes,
    }


def proven_widths(shapes: Shapes) -> list[dict[str, Any]]:
    """Every intermediate's proven range, its bits, and what the bound follows from."""
    c, ranges = shapes.layer.config, shapes.ranges
    taps = "largest sum over a channel's {} taps, each weight with its worst input"
    rows: list[tuple[str, str, Range, int, str]] = [("window", "x", c.in_range, c.in_bits, "in_bits, in_signed")]

    def proven(stage: str, signal: str, values: Range, why: str) -> None:
        rows.append((stage, signal, values, values.signed_bits, why))

    if shapes.heads is None:
        proven("tap_macs", "conv_sum", ranges.conv_sum, taps.format("kernel"))
        if shapes.geometry.attn_taps:
            proven("tap_macs", "attn_sum", ranges.attn_sum, taps.format("attention"))
        worst = "2^attn_shift * conv_sum + centre * attn_sum, each weight with its worst product of inputs"
        proven("attention_combine", "combined", ranges.combined, worst)
    else:
        assert ranges.similarity is not None
        grouped, sums = shapes.group_ranges, [ranges.similarity.sums[t] for t in shapes.geometry.attn_taps]
        products = Range(min(s.low for s in sums), max(s.high for s in sums))
        proven("similarity", "sum", products, "a head's products of inputs, each at its worst")
        proven("similarity", "sim", grouped.sim, "sum, rounded and saturated to sim_bits")
        proven("tap_macs", "conv_sum", grouped.conv, "largest sum over a group's channels and kernel taps")
        proven("tap_macs", "attn_sum", grouped.attn, "largest sum over a head's channels at one attention tap")
        proven("attention_combine", "combined", ranges.accumulator, "every partial sum of acc")
    proven("channel_accumulate", "acc", ranges.accumulator, "sum of combined over the input channels, and the bias")
    if not shapes.raw:
        proven("requantise", "scaled", ranges.scaled, "acc * multiplier, channel by channel")
    made = "acc itself" if shapes.raw else "out_bits, out_signed, relu: saturated"
    rows.append(("requantise", "y", c.out_range, c.out_bits, made))
    return [
        {"stage": stage, "signal": signal, "low": r.low, "high": r.high, "bits": bits, "bound": why}
        for stage, signal, r, bits, why in rows
    ]


def _memories(unit: Unit) -> list[dict[str, Any]]:
    """The memories of the unit, and whether its target keeps them in LUTs or block RAM.

    Single words are constants and are left out.
    """
    shapes, keeper = unit.shapes, unit.keeper
    g, stride, target = shapes.geometry, shapes.layer.config.stride, shapes.target
    parts = row_store.stored_parts(shapes)
    slots = (1, parts) if parts else (shapes.schedule.slots * stride, 1)
    rows = [("row_store", slots[0], shapes.row_depth, slots[1] * shapes.pixel.size)]
    rows += [("window", 1, g.channel_beats, bits) for dy in g.rows for bits in shapes.window_memories(dy)]
    rows += [("sequencer", 1, depth, bits) for depth, bits in unit.sequencer.walk.queues]
    words, constants = (keeper.words(depth) for depth in (shapes.weight_depth, shapes.constant_depth))
    rows += [("weights", shapes.lanes, words, unit.weights.width(bank)) for bank in unit.weights.banks]
    rows.append(("biases", shapes.folding.pe, constants, shapes.bias.width))
    if unit.multipliers is not None:
        words = keeper.words(unit.multipliers.depth)
        rows.append(("multipliers", shapes.folding.pe, words, shapes.multiplier.width))
    output_bits = shapes.output_payload.lanes * shapes.output_payload.bits
    rows.append(("output_stream", 1, unit.timetable.fifo_depth, output_bits + 1))

    def kept_in(name: str, depth: int, width: int) -> str:
        # The pipeline's own memories are read in the cycle of their address.
        if name not in ("row_store", "weights", "biases", "multipliers"):
            return "lut"
        if name == "row_store" and parts:
            return "block"
        return kind(target, depth, width, read_only=name != "row_store" and keeper.read_only)

    return [
        {"name": name, "count": count, "depth": depth, "width": width, "kept_in": kept_in(name, depth, width)}
        for name, count, depth, width in rows
        if depth > 1 and width > 0
    ]
