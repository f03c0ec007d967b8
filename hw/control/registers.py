"""The registers of a reloadable unit: the one place that gives their addresses, fields and limits.

Gateware, C header, SystemRDL, documents and driver are made from this table. All units have the same
addresses. Limits, reset values and constants are those of a unit's build.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Iterable

from golden.contract.layer_config import MULTIPLIER_BITS
from golden.contract.ranges import Range
from hw.control.register_table import WORD, Access, Field, Register, RegisterTable, Window
from hw.plan.sizes import Sizes
from hw.plan.weight_layout import bank_members, image_beats, weight_banks

#: The letters XVOL.
IDENTITY = 0x58564F4C
#: Software for a version works with every later one of the same ``major``.
VERSION = {"major": 1, "minor": 0}
ADDRESS_BITS = 17
#: Parts of the next set that an apply can put in force. The constants are biases and multipliers.
APPLY_PARTS = ("settings", "weights", "constants")
#: Offsets lie within this distance of the centre. There is a bit for each place within it.
REACH = 3
#: Layer fields that are settings or do not concern the hardware. They are no part of the build's fingerprint.
_NOT_BUILT = ("relu", "attn_shift", "out_shift", "in_scale", "out_scale")
#: When settings cannot be written.
_PENDING = "an apply is pending"


def register_table(sizes: Sizes) -> RegisterTable:
    """The registers of a reloadable unit."""
    return RegisterTable(
        name=sizes.config.name,
        description="Reloadable X-volution unit",
        address_bits=ADDRESS_BITS,
        registers=(*_constants(sizes), *_settings(sizes), *_operation(), *_counters()),
        windows=_windows(sizes),
    )


def offset_bit(dy: int, dx: int) -> int:
    """Which bit of ``attn_offsets`` (``attn_offsets_0`` and ``_1`` together) an attention offset is."""
    side = 2 * REACH + 1
    return (dy + REACH) * side + dx + REACH


def offset_bits(offsets: Iterable[tuple[int, int]]) -> int:
    """A set of attention offsets as bits."""
    return sum(1 << offset_bit(*offset) for offset in offsets)


def fingerprint(sizes: Sizes) -> int:
    """32 bits that differ between builds whose weight images or limits differ.

    They are a CRC of all that weight images and limits follow from.
    """
    layer = json.loads(sizes.layer.config.to_json())
    build = {
        "layer": {name: value for name, value in layer.items() if name not in _NOT_BUILT},
        "folding": dataclasses.asdict(sizes.folding),
        "target": sizes.target.name,
        "pack": sizes.config.pack,
        "reload": dataclasses.asdict(sizes.config.limits),
        "banks": bank_members(sizes),
    }
    return zlib.crc32(json.dumps(build, sort_keys=True).encode())


def _number(
    name: str,
    address: int,
    access: Access,
    description: str,
    *,
    bits: int = WORD,
    reset: int = 0,
    allowed: Range | None = None,
    refused_while: str = "",
) -> Register:
    """A register of one field, which bears its name."""
    field = Field(name=name, low=0, bits=bits, reset=reset, allowed=allowed, description=description)
    return Register(
        name=name,
        address=address,
        access=access,
        fields=(field,),
        description=description,
        refused_while=refused_while,
    )


def _constants(sizes: Sizes) -> tuple[Register, ...]:
    """What the unit is. Software reads it to see whether a layer fits."""
    c, reload = sizes.layer.config, sizes.config.limits
    offsets = offset_bits(c.attn_offsets)

    def register(name: str, address: int, description: str, *fields: Field) -> Register:
        return Register(name=name, address=address, access=Access.CONSTANT, fields=fields, description=description)

    def field(name: str, low: int, bits: int, value: int, description: str) -> Field:
        return Field(name=name, low=low, bits=bits, reset=value, description=description)

    def whole(name: str, address: int, value: int, description: str) -> Register:
        return _number(name, address, Access.CONSTANT, description, reset=value)

    return (
        whole("identity", 0x00, IDENTITY, "The letters XVOL."),
        register(
            "version",
            0x04,
            "Version of this register table.",
            field("minor", 0, 16, VERSION["minor"], "Grows when something is added."),
            field("major", 16, 16, VERSION["major"], "Grows when something changes its meaning."),
        ),
        whole("fingerprint", 0x08, fingerprint(sizes), "Differs between builds that take different weight images."),
        register(
            "channels",
            0x0C,
            "Channels of a frame.",
            field("in_channels", 0, 16, c.in_channels, "Input channels."),
            field("out_channels", 16, 16, c.out_channels, "Output channels."),
        ),
        register(
            "operator",
            0x10,
            "What is computed.",
            field("kernel", 0, 4, c.kernel, "Height and width of the kernel."),
            field("stride", 4, 2, c.stride, "Step from output to output."),
            field(
                "valid", 6, 1, int(c.padding == "valid"), "Padding: 0 same (zeros around the frame), 1 valid (none)."
            ),
            field("depthwise", 7, 1, int(c.depthwise), "1: each channel by itself."),
            field("dynamic", 8, 1, int(c.product == "dynamic"), "Product: 0 hadamard, 1 dynamic."),
            field("single_buffered", 9, 1, int(reload.single_buffered), "1: no memory for a second set."),
        ),
        register(
            "similarity",
            0x14,
            "Similarities of the dynamic product; 0 for hadamard.",
            field("heads", 0, 16, c.heads or 0, "Heads."),
            field("sim_bits", 16, 8, c.sim_bits or 0, "Bits of a similarity."),
            field("sim_shift", 24, 8, c.sim_shift or 0, "Bits rounded off an inner product."),
        ),
        register(
            "formats",
            0x18,
            "Number formats.",
            field("in_bits", 0, 8, c.in_bits, "Bits of an input element."),
            field("weight_bits", 8, 8, c.weight_bits, "Bits of a weight."),
            field("out_bits", 16, 8, c.out_bits, "Bits of an output element."),
            field("in_signed", 24, 1, int(c.in_signed), "1: input elements are signed."),
            field("out_signed", 25, 1, int(c.out_signed), "1: output elements are signed."),
        ),
        register(
            "folding",
            0x1C,
            "Channels of a beat.",
            field("simd", 0, 16, sizes.folding.simd, "Input channels of a beat."),
            field("pe", 16, 16, sizes.folding.pe, "Output channels of a beat."),
        ),
        register(
            "largest_frame",
            0x20,
            "The largest frame.",
            field("max_height", 0, 16, c.height, "Rows."),
            field("max_width", 16, 16, c.width, "Columns."),
        ),
        register(
            "shift_limits",
            0x24,
            "Allowed shifts.",
            field("attn_shift_min", 0, 8, reload.attn_shift.low, "Least attn_shift."),
            field("attn_shift_max", 8, 8, reload.attn_shift.high, "Greatest attn_shift."),
            field("out_shift_min", 16, 8, reload.out_shift.low, "Least out_shift."),
            field("out_shift_max", 24, 8, reload.out_shift.high, "Greatest out_shift."),
        ),
        whole(
            "attn_offsets_0",
            0x28,
            offsets & (2**WORD - 1),
            f"Offset (dy, dx) of an attention tap: bit (dy + {REACH}) * {2 * REACH + 1} + dx + {REACH}.",
        ),
        whole("attn_offsets_1", 0x2C, offsets >> WORD, f"Offsets as in attn_offsets_0, their bits from {WORD} up."),
        whole("weight_beats", 0x30, image_beats(sizes), "Beats of a weight image."),
        whole("weight_depth", 0x34, sizes.weight_depth, "Words of each weight memory."),
        whole("weight_memories", 0x38, len(weight_banks(sizes)), "Weight memories."),
        whole("constant_depth", 0x3C, sizes.constant_depth, "Rows of the windows of biases and multipliers."),
    )


def _settings(sizes: Sizes) -> tuple[Register, ...]:
    """Numbers of the next set; an apply puts them in force."""
    c, reload = sizes.layer.config, sizes.config.limits
    least = c.smallest_frame

    def register(name: str, address: int, allowed: Range, reset: int, description: str) -> Register:
        return _number(
            name,
            address,
            Access.READ_WRITE,
            description,
            bits=max(1, allowed.high.bit_length()),
            reset=reset,
            allowed=allowed,
            refused_while=_PENDING,
        )

    return (
        register("height", 0x40, Range(least, c.height), c.height, "Rows of an input frame."),
        register("width", 0x44, Range(least, c.width), c.width, "Columns of an input frame."),
        register("relu", 0x48, Range(0, 1), int(c.relu), "1: outputs saturate at 0 from below."),
        register("attn_shift", 0x4C, reload.attn_shift, c.attn_shift, "The convolution counts 2^attn_shift times."),
        register("out_shift", 0x50, reload.out_shift, c.out_shift, "Bits rounded off acc * multiplier."),
    )


def _operation() -> tuple[Register, ...]:
    """What is done with the next set, and how the unit is."""

    def flags(*names_and_texts: tuple[str, str]) -> tuple[Field, ...]:
        return tuple(Field(name=name, low=low, description=text) for low, (name, text) in enumerate(names_and_texts))

    parts = {
        "settings": "Height, width, relu and both shifts.",
        "weights": "The weights that were loaded.",
        "constants": "Biases and multipliers.",
    }
    return (
        _number(
            "apply_at",
            0x54,
            Access.READ_WRITE,
            "First frame of the next set, if apply says wait; frame 0 is the first after a reset.",
            refused_while=_PENDING,
        ),
        Register(
            name="apply",
            address=0x58,
            access=Access.WRITE_ONLY,
            fields=flags(*((part, parts[part]) for part in APPLY_PARTS), ("wait", "1: not before frame apply_at.")),
            description="Put parts of the next set in force at the next frame boundary.",
            refused_while="no part is selected, the one before is pending or switching, weights are selected and not "
            "loaded, or not all parts are selected and nothing has been in force yet",
        ),
        Register(
            name="control",
            address=0x5C,
            access=Access.READ_WRITE,
            fields=flags(
                ("hold", "1: begin no new frame."),
                ("ignore_tlast", "1: do not compare TLAST of input frames with the frame size."),
            ),
            description="How the unit runs.",
        ),
        Register(
            name="command",
            address=0x60,
            access=Access.WRITE_ONLY,
            fields=flags(
                (
                    "soft_reset",
                    "1: as after a reset: frames, registers, counters, errors; no set is in force, none loaded.",
                ),
                ("restart_load", "1: drop the weight load under way; the next beat is an image's first."),
                ("clear_counters", "1: set the counters to 0."),
            ),
            description="What happens once.",
        ),
        Register(
            name="status",
            address=0x64,
            access=Access.READ_ONLY,
            fields=flags(
                ("configured", "A set is in force."),
                ("idle", "No frame is under way."),
                ("pending", "An apply waits for its frame boundary."),
                ("switching", "Frames of the set before are still in the pipeline."),
                ("free", "The next set may be written: weights, biases and multipliers."),
                ("loading", "Some beats of a weight image have come."),
                ("loaded", "A whole weight image has come, and is not in force yet."),
            ),
            description="How the unit is.",
        ),
        Register(
            name="errors",
            address=0x68,
            access=Access.CLEAR,
            fields=flags(
                ("bad_access", "No such register, not readable or not writable, unaligned, or not all byte strobes."),
                ("bad_value", "A value outside its limits, or a 1 in a bit without a meaning."),
                ("busy", "A write to the next set while it was not free."),
                ("apply_refused", "An apply that was refused."),
                ("weights_short", "TLAST before the last beat of a weight image; the load is void."),
                ("weights_long", "No TLAST with the last beat of a weight image; the load is void."),
                ("tlast_early", "TLAST before the last beat of an input frame."),
                ("tlast_late", "No TLAST with the last beat of an input frame."),
            ),
            description="What went wrong since this was cleared. What is refused changes nothing else.",
        ),
    )


def _counters() -> tuple[Register, ...]:
    """What has happened. All counters wrap around."""
    return tuple(
        _number(name, address, Access.READ_ONLY, description)
        for name, address, description in (
            ("frames_begun", 0x6C, "Frames begun since a reset: the number of the next one. Wraps."),
            ("frames", 0x70, "Output frames completed. Wraps."),
            ("starved", 0x74, "Cycles in which the input could take a beat and none was offered. Wraps."),
            ("stalled", 0x78, "Cycles in which an output beat was offered and not taken. Wraps."),
            ("saturated", 0x7C, "Output elements cut at a limit other than 0. Wraps."),
        )
    )


def _windows(sizes: Sizes) -> tuple[Window, ...]:
    reload = sizes.config.limits
    closed = (
        "the unit is not held and idle" if reload.single_buffered else "frames of the set before are in the pipeline"
    )

    def window(name: str, address: int, description: str, allowed: Range | None = None) -> Window:
        return Window(
            name=name,
            address=address,
            rows=sizes.constant_depth,
            lanes=sizes.folding.pe,
            allowed=allowed,
            description=description,
            refused_while=f"{_PENDING}, or {closed}",
        )

    return (
        window("bias", 0x8000, "Bias of output channel row * pe + lane, signed."),
        window(
            "multiplier",
            0x10000,
            "Multiplier of output channel row * pe + lane.",
            Range(1, 2**MULTIPLIER_BITS - 1),
        ),
    )
