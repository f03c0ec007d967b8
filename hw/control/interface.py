"""What the control plane and the data path tell each other, signal by signal."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

from hw.blocks.pipeline import index_shape
from hw.control.register_table import WORD
from hw.control.registers import APPLY_PARTS
from hw.plan.shapes import Shapes
from hw.unit.scaling import setting_shape


def settings_layout(shapes: Shapes) -> data.StructLayout:
    """The numbers that software may change, always within the limits of the build."""
    c, settings = shapes.layer.config, shapes.settings
    return data.StructLayout(
        {
            "height": unsigned(c.height.bit_length()),
            "width": unsigned(c.width.bit_length()),
            "relu": 1,
            "attn_shift": setting_shape(settings.attn_shift),
            "out_shift": setting_shape(settings.out_shift),
        }
    )


#: A bit for each part of a set.
Parts = data.StructLayout(dict.fromkeys(APPLY_PARTS, 1))
#: An apply: ``strobe`` lasts a cycle, and there is a bit for each of `APPLY_PARTS`. With ``wait`` the apply does not
#: take effect before frame number ``at``.
Apply = data.StructLayout({"strobe": 1, **dict.fromkeys(APPLY_PARTS, 1), "wait": 1, "at": WORD})
#: Strobes of what went wrong at the input stream: TLAST before a frame's last beat, no TLAST with that beat.
InputErrors = data.StructLayout({"tlast_early": 1, "tlast_late": 1})


def constant_write(shapes: Shapes) -> data.StructLayout:
    """Write ``value`` as bias or multiplier of channel ``word * pe + lane``, in the set not in use."""
    return data.StructLayout(
        {
            "bias": 1,
            "multiplier": 1,
            "word": index_shape(shapes.constant_depth),
            "lane": index_shape(shapes.folding.pe),
            "value": WORD,
        }
    )


def counts(shapes: Shapes) -> data.StructLayout:
    """What happens in a cycle, for the counters.

    Members:
        frames: an output frame's last beat is transferred.
        starved: the input could take a beat and none is offered.
        stalled: an output beat is offered and not taken.
        saturated: output elements that the pipeline has just cut at a limit other than 0.
    """
    return data.StructLayout({"frames": 1, "starved": 1, "stalled": 1, "saturated": index_shape(shapes.folding.pe + 1)})


def bank_write(widths: Sequence[int], address: Shape) -> data.StructLayout:
    """Write ``value`` (its lower bits) to ``word`` of memory ``bank``, where memories have words of ``widths`` bits."""
    return data.StructLayout({"enable": 1, "bank": index_shape(len(widths)), "word": address, "value": max(widths)})
