"""Networks to simulate, by name: small graphs, each for what can go wrong in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer_config import NEIGHBOURS
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import FRAME, AvgPool
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.layers.random_layer import random_layer
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.targets.families import TARGETS

#: Where the multipliers of sums and averages have their binary point.
SHIFT = 12


class Drawing(NetworkBuilder):
    """A network that is drawn step by step, with random weights. Each method appends a step and returns its name.

    Attributes:
        foldings: the foldings of steps that were drawn with ``folding=(simd, pe)``.
    """

    def __init__(self, seed: int, image: Result) -> None:
        super().__init__(image)
        self.rng = np.random.default_rng(seed)
        self.foldings: dict[str, Folding] = {}

    def layer(self, source: str, channels: int, *, folding: tuple[int, int] | None = None, **fields: Any) -> str:
        """A convolution to so many channels. Fields are those of `random_layer`; there is no attention without them."""
        x = self.results[source]
        taken: dict[str, Any] = {"in_channels": x.channels, "height": x.height, "width": x.width, "in_bits": x.bits}
        taken |= {"in_signed": x.signed, "out_channels": channels, "attn_offsets": ()}
        layer = random_layer(self.rng, **(taken | fields))
        return self._make(LayerStep, source, folding=folding, layer=layer)

    def add(
        self,
        a: str,
        b: str,
        *,
        bits: int = 8,
        signed: bool = False,
        relu: bool = False,
        shift: int = SHIFT,
        **common: Any,
    ) -> str:
        """A sum that fills its format, and saturates where both operands are at their limits."""
        multipliers = []
        for name in (a, b):
            x = self.results[name]
            share = 2.0 ** (bits - signed - (x.bits - x.signed))
            multipliers.append(int(min(2**16 - 1, 2**shift * share * self.rng.uniform(0.7, 0.9))))
        form: dict[str, Any] = {"out_bits": bits, "out_signed": signed, "relu": relu}
        return self._make(Add, a, b, multipliers=tuple(multipliers), shift=shift, **form, **common)

    def max_pool(self, source: str, kernel: int, stride: int, pad: int = 0, **common: Any) -> str:
        return self._make(MaxPool, source, kernel=kernel, stride=stride, pad=pad, **common)

    def avg_pool(
        self, source: str, kernel: int | str, stride: int = 1, *, bits: int = 8, gain: float = 1, **common: Any
    ) -> str:
        """An average in so many bits, which saturates where its ``gain`` is above 1."""
        x = self.results[source]
        elements = x.height * x.width if isinstance(kernel, str) else kernel**2
        scale = gain * 2.0 ** (bits - x.bits + SHIFT) / elements
        average: dict[str, Any] = {
            "multiplier": max(1, round(scale)),
            "shift": SHIFT,
            "out_bits": bits,
            "out_signed": x.signed,
        }
        return self._make(AvgPool, source, kernel=kernel, stride=stride, **average, **common)

    def linear(
        self,
        source: str,
        outputs: int,
        *,
        pixels: bool = False,
        raw: bool = True,
        shift: int = 16,
        rounding: Rounding = HALF_EVEN,
        **common: Any,
    ) -> str:
        """A linear map; with weights for every pixel where ``pixels`` are told apart."""
        x = self.results[source]
        shape = (outputs, *x.shape) if pixels else (outputs, x.channels)
        fields: dict[str, Any] = {
            "weight_bits": 6,
            "weight": self.rng.integers(-31, 31, shape, endpoint=True),
            "bias": self.rng.integers(-500, 500, outputs, endpoint=True),
            "out_bits": 48 if raw else 9,
            "out_signed": True,
        }
        if not raw:
            multiplier = self.rng.integers(2**9, 2**11, outputs) >> 16 - shift
            fields |= {"out_shift": shift, "relu": False, "multiplier": multiplier, "rounding": rounding}
        step = Linear(name=f"linear{len(self.steps)}", inputs=(source,), **fields)
        return self._place(step.as_narrow_as_its_bound(x) if raw else step, **common)

    def concat(self, *sources: str, **common: Any) -> str:
        return self._make(Concat, *sources, **common)

    def upsample(self, source: str, factor: int, **common: Any) -> str:
        return self._make(Upsample, source, factor=factor, **common)

    def argmax(self, source: str, **common: Any) -> str:
        return self._make(Argmax, source, **common)

    def _make(self, kind: type[Step], *inputs: str, folding: tuple[int, int] | None = None, **fields: Any) -> str:
        return self._place(kind(name=f"{kind.op}{len(self.steps)}", inputs=inputs, **fields), folding=folding)

    def _place(self, step: Step, *, folding: tuple[int, int] | None = None) -> str:
        if folding is not None:
            self.foldings[step.name] = Folding(simd=folding[0], pe=folding[1])
        return self.append(step)


@dataclass(frozen=True, kw_only=True)
class GraphCase:
    """A network to draw, and its hardware.

    Attributes:
        draw: appends all steps, and returns the name of the last one.
        image: channels, height, width of the image.
        bits, signed: its format.
        lanes: of steps that are drawn without a folding.
        target, pack: as `NetworkConfig` has them, the target by name.
    """

    draw: Callable[[Drawing], str]
    image: tuple[int, int, int]
    bits: int = 8
    signed: bool = False
    lanes: int = 2
    target: str = "generic"
    pack: bool = True

    def config(self, seed: int) -> NetworkConfig:
        """The network with weights of a ``seed``, and its hardware."""
        channels, height, width = self.image
        image = Result(channels=channels, height=height, width=width, bits=self.bits, signed=self.signed)
        drawing = Drawing(seed, image)
        network = drawing.network(self.draw(drawing))
        foldings = up_to_lanes(network, self.lanes) | drawing.foldings
        return NetworkConfig(network=network, foldings=foldings, target=TARGETS[self.target], pack=self.pack)


def graph_case(name: str) -> NetworkConfig:
    """The network called ``name``, one of `GRAPHS`, and its hardware."""
    return GRAPHS[name].config(zlib.crc32(name.encode()))


def _nested_skips(d: Drawing) -> str:
    """A skip within a skip within a skip from the image on."""
    outer = d.layer(IMAGE, 2)
    inner = d.layer(outer, 2)
    first = d.layer(inner, 2)
    second = d.layer(first, 2, kernel=5)
    return d.add(d.add(d.add(second, first), inner), outer)


def _branches_of_different_producers(d: Drawing) -> str:
    """Long and short branches from the image and from what comes of it, joined crosswise."""
    early = d.layer(IMAGE, 4, kernel=1)
    late = d.layer(d.layer(early, 4), 4)
    from_image = d.layer(IMAGE, 4)
    return d.concat(d.add(late, from_image), d.add(early, late), from_image)


def _joins_of_several_levels(d: Drawing) -> str:
    a, b = d.layer(IMAGE, 2), d.layer(IMAGE, 2, kernel=1)
    c, e = d.layer(b, 2, kernel=5), d.layer(a, 2, kernel=1)
    return d.add(d.add(d.add(a, b), d.add(c, e)), d.add(b, e))


def _taken_many_times(d: Drawing) -> str:
    """Six consumers of one result, at six distances."""
    x = d.layer(IMAGE, 2)
    sums = [d.layer(x, 2)]
    for _ in range(3):
        sums.append(d.add(sums[-1], x))
    return d.concat(x, *sums, x)


def _taken_twice_by_one_step(d: Drawing) -> str:
    """The same stream at both inputs of a sum, and at all of a `concat`."""
    x = d.layer(IMAGE, 3)
    doubled = d.add(x, x)
    return d.add(d.concat(doubled, doubled, doubled), d.concat(x, doubled, x))


def _frame_1x1(d: Drawing) -> str:
    x = d.layer(IMAGE, 4)
    return d.add(d.upsample(d.max_pool(d.layer(x, 4), 3, 2, 1), 2), d.upsample(d.avg_pool(x, 1), 2))


def _row_of_pixels(d: Drawing) -> str:
    """Frames of one row: windows lack all rows but one."""
    x = d.layer(IMAGE, 2, kernel=5, stride=2)
    return d.add(d.max_pool(x, 3, 1, 1), d.layer(x, 2))


def _signs_at_joins(d: Drawing) -> str:
    """Signed and unsigned operands of unlike widths, sums with and without sign, a ReLU behind one."""
    wide = d.layer(IMAGE, 2, out_bits=12, out_signed=True, relu=False)
    narrow = d.layer(IMAGE, 2, out_bits=3)
    mixed = d.add(wide, narrow, bits=7, signed=True)
    raised = d.add(narrow, mixed, bits=16, signed=True, relu=True)
    return d.add(raised, d.add(wide, wide, bits=2), bits=10, signed=True)


def _valid_layers(d: Drawing) -> str:
    """Frames that shrink: what a step takes more of than it gives."""
    x = d.layer(IMAGE, 2, padding="valid")
    y = d.layer(x, 4, padding="valid", kernel=1)
    return d.concat(d.layer(y, 4, padding="valid", stride=2), d.layer(y, 2, padding="valid", kernel=3, stride=2))


def _dynamic_and_hadamard(d: Drawing) -> str:
    """Both products of the X-volution around a skip."""
    x = d.layer(IMAGE, 4, attn_offsets=NEIGHBOURS, out_signed=True, relu=False)
    y = d.layer(x, 4, attn_offsets=NEIGHBOURS, product="dynamic", heads=2, out_signed=True, relu=False)
    return d.add(x, y, signed=True)


def _depthwise_separable(d: Drawing) -> str:
    """An inverted residual block: wide, depthwise, narrow, and a skip without a ReLU."""
    x = d.layer(IMAGE, 2, kernel=1, out_signed=True, relu=False)
    wide = d.layer(x, 6, kernel=1, out_bits=6, folding=(2, 3))
    deep = d.layer(wide, 6, groups=6, out_bits=6, folding=(2, 2))
    return d.add(d.layer(deep, 2, kernel=1, out_signed=True, relu=False), x, signed=True)


def _strided_with_projections(d: Drawing) -> str:
    """Two stages of a residual network, frames of odd sides."""
    x = IMAGE
    for channels in (2, 4):
        deep = d.layer(d.layer(x, channels, stride=2), channels)
        x = d.add(deep, d.layer(x, channels, kernel=1, stride=2), relu=True)
    return x


def _slow_step(place: int) -> Callable[[Drawing], str]:
    def draw(d: Drawing) -> str:
        """A step that takes far longer than the others around it."""
        x = IMAGE
        for number in range(3):
            x = d.add(x, d.layer(x, 4, folding=(1, 1) if number == place else (4, 4)))
        return x

    return draw


def _padded_pools(d: Drawing) -> str:
    """Frames smaller than the window, windows cut off at both ends, and averages of even windows."""
    x = d.layer(IMAGE, 2, out_signed=True, relu=False)
    pooled = d.concat(d.max_pool(x, 7, 1, 3), d.max_pool(x, 3, 1, 1), x)
    return d.concat(d.max_pool(pooled, 4, 2, 2), d.max_pool(d.max_pool(pooled, 2, 1, 1), 3, 2, 1))


def _even_pools(d: Drawing) -> str:
    x = d.layer(IMAGE, 4, out_bits=5)
    return d.concat(d.avg_pool(x, 2, 2, bits=6), d.avg_pool(d.avg_pool(x, 4, 1), 1, 1, bits=6))


def _pools_that_drop(d: Drawing) -> str:
    """A pool of size 1 and stride 2, whose windows leave most elements out, beside a strided 1x1 convolution."""
    x = d.layer(IMAGE, 2)
    return d.add(d.max_pool(x, 1, 2), d.add(d.avg_pool(x, 1, 2), d.layer(x, 2, kernel=1, stride=2)))


def _unet(d: Drawing) -> str:
    """Down twice, up twice, each level beside what it was on the way down."""
    top = d.layer(IMAGE, 2)
    middle = d.layer(d.max_pool(top, 2, 2), 2)
    bottom = d.layer(d.max_pool(middle, 2, 2), 4)
    middle = d.layer(d.concat(d.upsample(bottom, 2), middle), 2)
    return d.layer(d.concat(d.upsample(middle, 2), top), 2)


def _upsampled_by_3_and_4(d: Drawing) -> str:
    x = d.layer(IMAGE, 3, folding=(1, 3))
    return d.concat(d.avg_pool(d.upsample(x, 4, folding=(3, 1)), 4, 4), d.max_pool(d.upsample(x, 3), 3, 3))


def _linear_of_channels(d: Drawing) -> str:
    """Image in, class out: sums of channels, requantised, then raw, then the largest."""
    x = d.layer(IMAGE, 4)
    hidden = d.linear(x, 6, raw=False, folding=(2, 3))
    return d.argmax(d.linear(d.avg_pool(hidden, FRAME), 5, folding=(2, 1)), folding=(5, 1))


def _linear_beyond_its_frame(d: Drawing) -> str:
    """More is given than taken."""
    return d.linear(IMAGE, 6, folding=(1, 3))


def _linear_of_pixels(d: Drawing) -> str:
    """Every pixel with weights of its own; the output is raw."""
    return d.linear(d.layer(IMAGE, 2), 6, pixels=True, folding=(2, 3))


def _raw_output(d: Drawing) -> str:
    return d.linear(d.max_pool(d.layer(IMAGE, 4), 2, 2), 3, folding=(4, 3))


def _identity_pool_last(d: Drawing) -> str:
    """The output is a step that has no node of its own."""
    return d.max_pool(d.layer(IMAGE, 4), 1, 1, folding=(2, 4))


def _identity_pool_alone(d: Drawing) -> str:
    """A network without any node."""
    return d.max_pool(IMAGE, 1, 1, folding=(2, 3))


def _widths_that_divide_neither_way(d: Drawing) -> str:
    """Beats of 4 to 6, of 6 to 4, of 4 to 3, of 2 to 3 elements, on both ways to a join."""
    x = d.layer(IMAGE, 12, kernel=1, folding=(2, 4))
    y = d.layer(x, 12, kernel=1, folding=(6, 4), out_bits=5)
    z = d.layer(y, 12, groups=12, folding=(3, 3))
    return d.add(d.add(x, z, folding=(4, 4)), y, folding=(6, 6))


def _pools(d: Drawing) -> str:
    """A chain of nodes that are no units, with FIFOs of one beat. So a sink that stalls holds up each of them."""
    x = d.max_pool(IMAGE, 3, 1, 1, folding=(4, 4))
    x = d.upsample(d.avg_pool(x, 2, 2, bits=5, gain=3, folding=(1, 1)), 3, folding=(4, 4))
    return d.max_pool(x, 2, 2, folding=(2, 2))


def _joins(d: Drawing) -> str:
    """Forks, sums, a `concat`, width adapters, and FIFOs in LUTs and in block RAM."""
    x = d.add(IMAGE, IMAGE, bits=6, signed=True)
    back = d.upsample(d.avg_pool(x, 2, 2, bits=6, gain=1.3), 2, folding=(4, 4))
    return d.concat(d.add(back, x, bits=6, signed=True), x, folding=(2, 8))


def _roundings(d: Drawing) -> str:
    """Each op that requantises, in both modes beside the usual one, with shifts of few bits, which meet ties."""
    x = d.layer(IMAGE, 4, rounding="half_up", kernel=1, weight_bits=2, attn_shift=0, out_shift=2, out_bits=5)
    y = d.add(IMAGE, x, bits=4, signed=True, shift=4, rounding="half_up")
    y = d.add(y, d.layer(y, 4, rounding="floor", out_bits=5), bits=4, signed=True, shift=4, rounding="floor")
    scores = [
        d.linear(d.avg_pool(y, FRAME, bits=5, gain=1.5, rounding="half_up"), 3, raw=False, shift=7, rounding="floor"),
        d.linear(d.avg_pool(y, FRAME, bits=5, gain=1.5, rounding="floor"), 3, raw=False, shift=7, rounding="half_up"),
    ]
    return d.concat(*scores)


def _scores(d: Drawing) -> str:
    """The largest of averages."""
    return d.argmax(d.avg_pool(IMAGE, FRAME, bits=8, gain=2), folding=(3, 1))


def _relays(d: Drawing) -> str:
    """A unit, a fork, a join, width adapters and FIFOs between relays."""
    x = d.layer(IMAGE, 4, kernel=1, out_bits=4, folding=(4, 2))
    return d.argmax(d.avg_pool(d.add(x, IMAGE, folding=(2, 2)), FRAME, folding=(1, 1)), folding=(2, 1))


def _residual(d: Drawing) -> str:
    """A block of layers whose products are packed where the target can, with a classifier."""
    x = d.layer(IMAGE, 4, weight_bits=4, out_bits=4)
    y = d.layer(x, 4, weight_bits=4, out_bits=4, attn_offsets=NEIGHBOURS)
    joined = d.add(d.layer(y, 4, weight_bits=4, out_bits=4), x, bits=4, relu=True)
    return d.argmax(d.linear(d.avg_pool(joined, FRAME, bits=4), 3))


def _five_by_five_strided(d: Drawing) -> str:
    """Kernels of 5x5 with stride 2 on frames of a few rows."""
    return d.layer(d.layer(IMAGE, 2, kernel=5, stride=2), 2, kernel=5, stride=2)


def _gaps_in_the_first_group(d: Drawing) -> str:
    """A unit that is all but busy gets the next frame's first pixel beat by beat, as the pacer lets it pass.

    Where no frame follows, its empty group must not be quicker than that.
    """
    form = {"out_signed": True, "relu": False}
    x = d.layer(d.layer(IMAGE, 1, folding=(1, 1), **form), 4, stride=2, folding=(1, 1), **form)
    return d.concat(d.avg_pool(IMAGE, FRAME), d.avg_pool(x, FRAME), folding=(1, 7))


def _depthwise_behind_gaps(d: Drawing) -> str:
    """The same with a depthwise layer, which gives a beat for each of the next frame's."""
    x = d.layer(d.layer(IMAGE, 4, kernel=5, stride=2), 6, kernel=1, folding=(1, 3))
    return d.max_pool(d.layer(x, 6, groups=6, folding=(1, 1)), 3, 1, 1, folding=(3, 3))


def _late_first_groups(d: Drawing) -> str:
    """A strided layer gives no row while it takes one. The layer behind it waits for several groups."""
    x = d.layer(IMAGE, 3, groups=3, stride=2, folding=(3, 3))
    return d.layer(x, 3, groups=3, kernel=5, folding=(1, 1))


def _early_columns(d: Drawing) -> str:
    """Layers without padding that read columns early: two side by side, and one behind them."""
    x = d.layer(IMAGE, 4, padding="valid", folding=(2, 4))
    y = d.concat(d.layer(x, 8, padding="valid", folding=(4, 1)), d.layer(x, 8, padding="valid", folding=(2, 2)))
    return d.layer(y, 16, padding="valid", stride=2, folding=(16, 1))


def _few_rows(d: Drawing) -> str:
    """Strided layers with large kernels on frames of few rows, both busy in every cycle."""
    x = d.layer(IMAGE, 4, kernel=5, stride=2, folding=(1, 1))
    return d.layer(x, 8, kernel=7, stride=2, folding=(1, 1))


def _transient(d: Drawing) -> str:
    """The first frames come further apart than those behind them."""
    x = d.layer(IMAGE, 6, stride=2, folding=(1, 2))
    x = d.layer(d.layer(x, 6, groups=6, stride=2, folding=(2, 2)), 4, folding=(3, 2))
    return d.layer(x, 1, kernel=5, folding=(1, 1))


def _bursts_into_a_full_unit(d: Drawing) -> str:
    """Layers that are busy in every cycle, behind an upsampling and a pool, which give rows in bursts."""
    x = d.upsample(IMAGE, 2, folding=(2, 2))
    y = d.layer(x, 2, folding=(1, 2))
    return d.layer(d.max_pool(y, 2, 2, folding=(2, 2)), 8, folding=(1, 2))


def _identities_from_windows(d: Drawing) -> str:
    """Sums whose operands come from windows: of the image, of dense and depthwise layers and an X-volution.

    A window gives its pixels to two sums, and two layers take the result of which only one has to give it.
    """
    x = d.add(IMAGE, d.layer(IMAGE, 4, kernel=5))
    y = d.layer(d.layer(x, 4, attn_offsets=NEIGHBOURS, folding=(2, 1)), 4, folding=(4, 2))
    z = d.add(d.add(x, y, folding=(1, 1)), x)
    deep = d.layer(z, 4, groups=4, folding=(2, 2))
    return d.add(d.add(z, deep, folding=(4, 4)), d.layer(z, 4, kernel=1, folding=(2, 2)))


def _projections_from_windows(d: Drawing) -> str:
    """Residual blocks whose projections take the centres of windows, drawn before and behind the layer that has them.

    The frames have odd sides. The last block keeps its frame's size.
    """
    first = d.layer(IMAGE, 4, kernel=1, stride=2)
    x = d.add(d.layer(d.layer(IMAGE, 4, stride=2, folding=(1, 2)), 4), first, relu=True)
    y = d.add(
        d.layer(d.layer(x, 6, stride=2, kernel=5, folding=(1, 1)), 6), d.layer(x, 6, kernel=1, stride=2, folding=(2, 3))
    )
    return d.add(d.layer(d.layer(y, 3), 3), d.layer(y, 3, kernel=1, folding=(1, 3)))


#: Networks by name.
GRAPHS: Mapping[str, GraphCase] = {
    "nested_skips": GraphCase(draw=_nested_skips, image=(2, 4, 5)),
    "branches_of_different_producers": GraphCase(draw=_branches_of_different_producers, image=(4, 4, 4)),
    "joins_of_several_levels": GraphCase(draw=_joins_of_several_levels, image=(2, 5, 3), lanes=1),
    "taken_many_times": GraphCase(draw=_taken_many_times, image=(1, 4, 4)),
    "taken_twice_by_one_step": GraphCase(draw=_taken_twice_by_one_step, image=(2, 3, 4), lanes=3),
    "frame_1x1": GraphCase(draw=_frame_1x1, image=(4, 1, 1)),
    "row_of_pixels": GraphCase(draw=_row_of_pixels, image=(2, 1, 9), signed=True),
    "signs_at_joins": GraphCase(draw=_signs_at_joins, image=(3, 3, 4), bits=5, signed=True),
    "valid_layers": GraphCase(draw=_valid_layers, image=(2, 8, 7)),
    "dynamic_and_hadamard": GraphCase(draw=_dynamic_and_hadamard, image=(4, 4, 4), bits=6, signed=True),
    "depthwise_separable": GraphCase(draw=_depthwise_separable, image=(3, 3, 4), lanes=1),
    "strided_with_projections": GraphCase(draw=_strided_with_projections, image=(3, 7, 5), lanes=3),
    "slow_step_first": GraphCase(draw=_slow_step(0), image=(4, 3, 3), lanes=4),
    "slow_step_in_the_middle": GraphCase(draw=_slow_step(1), image=(4, 3, 3), lanes=4),
    "slow_step_at_the_end": GraphCase(draw=_slow_step(2), image=(4, 3, 3), lanes=4),
    "padded_pools": GraphCase(draw=_padded_pools, image=(2, 4, 4), signed=True),
    "even_pools": GraphCase(draw=_even_pools, image=(2, 5, 6)),
    "pools_that_drop": GraphCase(draw=_pools_that_drop, image=(2, 5, 4)),
    "unet": GraphCase(draw=_unet, image=(1, 4, 8)),
    "upsampled_by_3_and_4": GraphCase(draw=_upsampled_by_3_and_4, image=(2, 2, 2)),
    "linear_of_channels": GraphCase(draw=_linear_of_channels, image=(1, 3, 4)),
    "linear_beyond_its_frame": GraphCase(draw=_linear_beyond_its_frame, image=(1, 1, 2)),
    "linear_of_pixels": GraphCase(draw=_linear_of_pixels, image=(2, 3, 3)),
    "raw_output": GraphCase(draw=_raw_output, image=(2, 4, 4)),
    "identity_pool_last": GraphCase(draw=_identity_pool_last, image=(2, 3, 3)),
    "identity_pool_alone": GraphCase(draw=_identity_pool_alone, image=(6, 2, 3), bits=3),
    "widths_that_divide_neither_way": GraphCase(draw=_widths_that_divide_neither_way, image=(2, 3, 3)),
    "five_by_five_strided": GraphCase(draw=_five_by_five_strided, image=(2, 7, 6)),
    "gaps_in_the_first_group": GraphCase(draw=_gaps_in_the_first_group, image=(3, 1, 2), signed=True),
    "depthwise_behind_gaps": GraphCase(draw=_depthwise_behind_gaps, image=(1, 1, 4), lanes=1),
    "late_first_groups": GraphCase(draw=_late_first_groups, image=(3, 4, 7), bits=4),
    "early_columns": GraphCase(draw=_early_columns, image=(2, 9, 11), bits=4),
    "few_rows": GraphCase(draw=_few_rows, image=(4, 4, 8), bits=4),
    "transient": GraphCase(draw=_transient, image=(1, 1, 6), bits=4),
    "pools": GraphCase(draw=_pools, image=(4, 6, 8), bits=4, signed=True),
    "joins": GraphCase(draw=_joins, image=(4, 4, 44), bits=4, signed=True),
    "roundings": GraphCase(draw=_roundings, image=(4, 3, 4), bits=4, signed=True),
    "scores": GraphCase(draw=_scores, image=(6, 2, 3), bits=5, signed=True),
    "identities_from_windows": GraphCase(draw=_identities_from_windows, image=(4, 4, 9)),
    "projections_from_windows": GraphCase(draw=_projections_from_windows, image=(2, 9, 25), bits=5, signed=True),
    "relays": GraphCase(draw=_relays, image=(4, 3, 4), bits=4, target="ecp5"),
    "bursts_into_a_full_unit": GraphCase(draw=_bursts_into_a_full_unit, image=(2, 4, 4)),
    **{
        f"{target}_{'packed' if pack else 'unpacked'}": GraphCase(
            draw=_residual, image=(3, 4, 4), bits=4, target=target, pack=pack
        )
        for target in TARGETS
        for pack in (True, False)
        if pack or target != "generic"
    },
}
