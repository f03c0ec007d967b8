"""Geometry and number formats of a layer: fields, ranges, and refusals by name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from reprlib import repr as brief
from typing import Any, ClassVar

from golden.contract.fields import (
    FORMAT,
    LayerError,
    check_boolean,
    check_integer,
    check_names,
    check_scale,
    parse_object,
    take_format,
)
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, ROUNDINGS, Rounding
from golden.support.arrays import plain

MULTIPLIER_BITS = 16
BIAS_BITS = 32
MAX_OFFSET = 3
#: Offsets ``(dy, dx)`` of the eight neighbours, in raster order: all directions of the paper.
NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
#: Inclusive integer ranges of the config's numeric fields.
FIELD_RANGES: dict[str, tuple[int, int]] = {
    "in_channels": (1, 4096),
    "out_channels": (1, 4096),
    "height": (1, 4096),
    "width": (1, 4096),
    "in_bits": (2, 8),
    "weight_bits": (2, 8),
    "out_bits": (2, 16),
    "attn_shift": (0, 15),
    "out_shift": (0, 47),
}
#: Inclusive integer ranges of the fields that a ``dynamic`` layer needs and no other layer has.
DYNAMIC_RANGES: dict[str, tuple[int, int]] = {"heads": (1, 4096), "sim_bits": (2, 8), "sim_shift": (0, 31)}
#: Allowed values of the config's enumerated fields.
FIELD_CHOICES: dict[str, tuple[Any, ...]] = {
    "product": ("hadamard", "dynamic"),
    "kernel": (1, 3, 5, 7),
    "stride": (1, 2),
    "padding": ("same", "valid"),
    "rounding": ROUNDINGS,
}


@dataclass(frozen=True, kw_only=True)
class SimilarityFormat:
    """How a ``dynamic`` layer makes coefficients of inner products.

    Attributes:
        heads: number of heads.
        head_channels: consecutive input channels of each head.
        shift: bits that are rounded off an inner product, half to even.
        limits: what a coefficient saturates to.
    """

    heads: int
    head_channels: int
    shift: int
    limits: Range

    def coefficient(self, total: int) -> int:
        """The similarity that the inner product ``total`` becomes: shifted, rounded and saturated."""
        # Python rounds a fraction half to even.
        return min(max(round(Fraction(total, 2**self.shift)), self.limits.low), self.limits.high)


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """Geometry and number formats of a layer: the ``config`` text of a layer file.

    ``docs/layers.md`` says what each field means. Scalars of numpy become Python's own.

    Class attributes:
        field_ranges: inclusive ranges of the numeric fields.

    Raises `LayerError` for any field outside the contract.
    """

    product: str
    in_channels: int
    out_channels: int
    height: int
    width: int
    kernel: int
    stride: int
    padding: str
    groups: int
    attn_offsets: tuple[tuple[int, int], ...]
    in_bits: int
    in_signed: bool
    weight_bits: int
    out_bits: int
    out_signed: bool
    relu: bool
    attn_shift: int
    out_shift: int
    heads: int | None = None
    sim_bits: int | None = None
    sim_shift: int | None = None
    rounding: Rounding = HALF_EVEN
    in_scale: float | None = None
    out_scale: float | None = None

    field_ranges: ClassVar[Mapping[str, tuple[int, int]]] = FIELD_RANGES

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _plain_field(getattr(self, field.name)))
        for name, choices in FIELD_CHOICES.items():
            value = getattr(self, name)
            if type(value) is not type(choices[0]) or value not in choices:
                raise LayerError(f"{name} {brief(value)} is not one of {', '.join(map(repr, choices))}")
        for name, limits in self.field_ranges.items():
            check_integer(name, getattr(self, name), limits)
        for name in ("in_signed", "out_signed", "relu"):
            check_boolean(name, getattr(self, name))
        for name in ("in_scale", "out_scale"):
            check_scale(name, getattr(self, name))
        self._check_groups()
        self._check_similarity()
        self._check_offsets()
        for name in ("height", "width"):
            size = getattr(self, name)
            if size < self.smallest_frame:
                allowed = f"padding 'valid' allows no less than kernel {self.kernel}"
                raise LayerError(f"{name} {size} is too small, {allowed}")

    def _check_groups(self) -> None:
        if type(self.groups) is not int or self.groups not in (1, self.in_channels):
            raise LayerError(f"groups {brief(self.groups)} is neither 1 nor in_channels ({self.in_channels})")
        if self.depthwise and self.out_channels != self.in_channels:
            raise LayerError(
                f"out_channels {self.out_channels} differs from in_channels {self.in_channels}, "
                f"which groups {self.groups} (depthwise) does not allow"
            )

    def _check_similarity(self) -> None:
        for name, limits in DYNAMIC_RANGES.items():
            value = getattr(self, name)
            if self.product == "dynamic":
                if value is None:
                    raise LayerError(f"{name} is missing, product 'dynamic' needs it")
                check_integer(name, value, limits)
            elif value is not None:
                raise LayerError(f"{name} {brief(value)} is only for product 'dynamic', product is {self.product!r}")
        if self.heads is None:
            return
        if self.in_channels % self.heads:
            raise LayerError(f"heads {self.heads} does not divide in_channels {self.in_channels}")
        if self.depthwise:
            raise LayerError(f"groups {self.groups} (depthwise) is not for product 'dynamic', allowed is 1")

    def _check_offsets(self) -> None:
        if not isinstance(self.attn_offsets, tuple):
            raise LayerError(f"attn_offsets {brief(self.attn_offsets)} is not a tuple of (dy, dx)")
        for offset in self.attn_offsets:
            pair = isinstance(offset, tuple) and len(offset) == 2 and all(type(d) is int for d in offset)
            if not pair or max(map(abs, offset)) > MAX_OFFSET:
                allowed = f"a pair of integers from -{MAX_OFFSET} to {MAX_OFFSET}"
                raise LayerError(f"attn_offsets entry {brief(offset)} is not {allowed}")
        for i, offset in enumerate(self.attn_offsets):
            if offset in self.attn_offsets[:i]:
                raise LayerError(f"attn_offsets entry {offset} is there twice, each offset is allowed once")

    @property
    def depthwise(self) -> bool:
        """True where every channel is convolved by itself (``groups == in_channels > 1``)."""
        return self.groups > 1

    @property
    def similarity(self) -> SimilarityFormat | None:
        """The format of ``sim``; None where ``product`` is not ``dynamic``."""
        if self.heads is None or self.sim_bits is None or self.sim_shift is None:
            return None
        return SimilarityFormat(
            heads=self.heads,
            head_channels=self.in_channels // self.heads,
            shift=self.sim_shift,
            limits=Range.of_format(self.sim_bits, True),
        )

    @property
    def fan_in_channels(self) -> int:
        """Input channels that one output channel sees."""
        return self.in_channels // self.groups

    @property
    def pad(self) -> int:
        """Zeros on each side of the frame: ``kernel//2`` or 0."""
        return self.kernel // 2 if self.padding == "same" else 0

    @property
    def smallest_frame(self) -> int:
        """Least height, and width, that the padding allows."""
        return self.kernel if self.padding == "valid" else 1

    @property
    def first_centre(self) -> int:
        """Row, and column, of the first kernel centre in the input."""
        return self.kernel // 2 - self.pad

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.pad - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.pad - self.kernel) // self.stride + 1

    @property
    def radius(self) -> int:
        """Window radius: the farthest tap of kernel or attention, in pixels."""
        return max([self.kernel // 2, *(abs(d) for offset in self.attn_offsets for d in offset)])

    @property
    def kernel_offsets(self) -> tuple[tuple[int, int], ...]:
        """``(dy, dx)`` of each kernel tap around the centre, in the order of ``conv_weight``."""
        half = self.kernel // 2
        steps = range(-half, half + 1)
        return tuple((dy, dx) for dy in steps for dx in steps)

    @property
    def in_range(self) -> Range:
        """Range of an input element (0 included: elements outside the frame are 0)."""
        return Range.of_format(self.in_bits, self.in_signed)

    @property
    def out_range(self) -> Range:
        """Saturation limits of an output element; ``relu`` raises the lower one to 0."""
        full = Range.of_format(self.out_bits, self.out_signed)
        return Range(0, full.high) if self.relu else full

    @property
    def raw(self) -> bool:
        """Whether results are the accumulators themselves. A layer file's are requantised."""
        return False

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of a weight; the format is symmetric."""
        return 2 ** (self.weight_bits - 1) - 1

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of a layer's arrays, by name."""
        weights, outputs = (self.out_channels, self.fan_in_channels), (self.out_channels,)
        return {
            "conv_weight": (*weights, self.kernel, self.kernel),
            "attn_weight": (*weights, len(self.attn_offsets)),
            "bias": outputs,
            "multiplier": outputs,
        }

    def to_json(self) -> str:
        """The ``config`` text of a layer file. A field that is as if it were left out is left out."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        fields = {k: v for k, v in dataclasses.asdict(self).items() if v != defaults[k]}
        return json.dumps({"format": FORMAT, **fields})

    @classmethod
    def from_json(cls, text: str) -> LayerConfig:
        """Parse a ``config`` text. Raises `LayerError` naming an unknown, missing or wrong field."""
        fields = parse_object(text)
        take_format(fields)
        return cls.from_fields(fields, beside="format")

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], *, beside: str = "") -> LayerConfig:
        """The config with ``fields``, as they stand in a ``config`` text, but without ``format``.

        ``beside`` names allowed fields that were taken out before. Raises `LayerError` naming an unknown,
        missing or wrong field.
        """
        known = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(cls)}
        required = [name for name, needed in known.items() if needed]
        check_names(fields, required, [name for name in known if name not in required], beside=beside)
        offsets = fields["attn_offsets"]
        if not isinstance(offsets, list):
            raise LayerError(f"attn_offsets {brief(offsets)} is not a list of [dy, dx]")
        pairs = tuple(tuple(o) if isinstance(o, list) else o for o in offsets)
        return cls(**{**fields, "attn_offsets": pairs})


def _plain_field(value: Any) -> Any:
    """``value`` without scalars of numpy, also where it is a tuple."""
    return tuple(map(_plain_field, value)) if isinstance(value, tuple) else plain(value)
