"""The study behind `scripts.approximation`: how close pixel shifts come to self-attention, what both see and cost."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from golden.contract.layer_config import NEIGHBOURS
from golden.experiments.approximation.denoiser import Denoiser, train
from golden.experiments.approximation.fit import (
    attention_inputs,
    convolution_inputs,
    fitted_outputs,
    output_rows,
    score,
)
from golden.experiments.approximation.growth import fastest, multiplications
from golden.experiments.approximation.images import digits, photograph_tiles
from golden.experiments.approximation.receptive_field import receptive_field
from golden.operators.pixel_shift import PixelShiftAttention
from golden.operators.self_attention import SelfAttention
from golden.operators.sliding import every_pixel
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

WEIGHTINGS = (1, 3)
#: Sides of the frames that are timed, as parts of the largest.
SIDES = (1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)
#: Timed runs of each attention and side.
REPEAT = 5
#: Channels of the timed attentions. With fewer, small frames take as long as their function calls.
TIMED_CHANNELS = 32
#: Steps of training that take about as long as the fits of one variant.
FIT_STEPS = 50

Attention = PixelShiftAttention | SelfAttention
Variant = dict[str, int]
Advance = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is studied.

    Attributes:
        product: of the pixel shifts.
        heads: of both attentions; divides ``channels`` and `TIMED_CHANNELS`.
        channels: of the layers that are approximated, in and out.
        shift, stack: the largest that are tried, from 1 up.
        tiles: number of photograph tiles to fit, and as many to score. There are fewer where the
            photographs do not give so many.
        side: of a tile, in pixels.
        digits: number of digits to fit, and as many to score.
        steps: of training, for each kind of image.
        largest: side of the largest frame that is timed, in pixels.
        seed: of all that is random.
    """

    product: str
    heads: int
    channels: int
    shift: int
    stack: int
    tiles: int
    side: int
    digits: int
    steps: int
    largest: int
    seed: int

    def __post_init__(self) -> None:
        if self.channels % self.heads:
            raise UserError(f"heads {self.heads} does not divide channels {self.channels}")

    @property
    def variants(self) -> list[Variant]:
        """The pixel shifts that are tried: options of `XVolution`."""
        stacks, shifts = range(1, self.stack + 1), range(1, self.shift + 1)
        return [
            {"weighting": weighting, "stack": stack, "shift": shift}
            for weighting, stack, shift in itertools.product(WEIGHTINGS, stacks, shifts)
        ]

    @property
    def amount(self) -> int:
        """The sum of all amounts that `study` advances by."""
        variants = len(self.variants)
        return 2 * (self.steps + FIT_STEPS * variants) + variants + 1 + 3 * len(SIDES)

    def attention(self, product: str, channels: int, **variant: int) -> Attention:
        """The attention branch of an untrained layer."""
        heads = None if product == "hadamard" else self.heads
        return XVolution(channels, channels, product=product, heads=heads, **variant).attention  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How close an approximation comes to a self-attention layer.

    Attributes:
        images: what the layer saw.
        layer: ``trained`` or ``random``.
        by: ``convolution``, ``pixel shifts`` or ``both``.
        stack, shift, weighting: of the pixel shifts; None where there are none.
        error, correlation: see `golden.experiments.approximation.fit.Score`.
    """

    images: str
    layer: str
    by: str
    stack: int | None = None
    shift: int | None = None
    weighting: int | None = None
    error: float
    correlation: float


@dataclass(frozen=True, kw_only=True)
class Field:
    """What an output pixel sees in a frame of ``frame`` pixels.

    Attributes:
        stack, shift, weighting: of the pixel shifts; None for self-attention.
        pixels, reach: see `golden.experiments.approximation.receptive_field.ReceptiveField`.
    """

    stack: int | None = None
    shift: int | None = None
    weighting: int | None = None
    pixels: int
    reach: int
    frame: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a frame of ``pixels`` with `TIMED_CHANNELS` channels costs."""

    attention: str
    pixels: int
    multiplications: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that is found."""

    fits: list[Fit]
    fields: list[Field]
    costs: list[Cost]


def study(plan: Plan, advance: Advance) -> Study:
    """Run all of ``plan``. ``advance`` is called with amounts that add up to ``plan.amount``."""
    torch.manual_seed(plan.seed)
    return Study(
        fits=[fit for image_set in _image_sets(plan) for fit in _fits(*image_set, plan, advance)],
        fields=_fields(plan, advance),
        costs=_costs(plan, advance),
    )


def _image_sets(plan: Plan) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, images to learn and fit, and others to score."""
    for name, images, count in (
        ("photographs", photograph_tiles(plan.side), plan.tiles),
        ("digits", digits(), plan.digits),
    ):
        fitted, others = images[torch.randperm(len(images))].tensor_split(2)
        yield name, fitted[:count], others[:count]


def _fits(images: str, fitted: Tensor, others: Tensor, plan: Plan, advance: Advance) -> Iterator[Fit]:
    network = Denoiser(fitted.shape[1], plan.channels, plan.heads)
    train(network, fitted, plan.steps, advance)
    layers = {"trained": network.self_attention, "random": plan.attention("softmax", plan.channels)}
    with torch.no_grad():
        frames = [network.stem(part) for part in (fitted, others)]
        targets = [{name: output_rows(layer(x, every_pixel(x))) for name, layer in layers.items()} for x in frames]
    goal = np.hstack(list(targets[0].values()))

    def scored(by: str, inputs: Sequence[np.ndarray], **variant: int) -> Iterator[Fit]:
        # One fit for all layers: they share the inputs.
        outputs = np.hsplit(fitted_outputs(inputs[0], goal, inputs[1]), len(layers))
        for (layer, target), output in zip(targets[1].items(), outputs, strict=True):
            result = score(output, target)
            yield Fit(images=images, layer=layer, by=by, **variant, error=result.error, correlation=result.correlation)

    convolution = [convolution_inputs(x) for x in frames]
    yield from scored("convolution", convolution)
    heads = None if plan.product == "hadamard" else plan.heads
    for variant in plan.variants:
        shift = variant["shift"]
        offsets = [(shift * dy, shift * dx) for dy, dx in NEIGHBOURS]
        shifts = [
            attention_inputs(
                x,
                offsets,
                product=plan.product,
                heads=heads,
                stack=variant["stack"],
                weighting=variant["weighting"],
            )
            for x in frames
        ]
        yield from scored("pixel shifts", shifts, **variant)
        yield from scored("both", [np.hstack(parts) for parts in zip(convolution, shifts, strict=True)], **variant)
        advance(FIT_STEPS)


def _fields(plan: Plan, advance: Advance) -> list[Field]:
    side = 2 * (plan.stack * plan.shift + 2) + 1

    def field(attention: Attention, **variant: int) -> Field:
        attention = attention.double()
        seen = receptive_field(lambda x: attention(x, every_pixel(x)), plan.channels, side, plan.seed)
        advance(1)
        return Field(**variant, pixels=seen.pixels, reach=seen.reach, frame=side**2)

    fields = [field(plan.attention(plan.product, plan.channels, **variant), **variant) for variant in plan.variants]
    return [*fields, field(plan.attention("softmax", plan.channels))]


def _costs(plan: Plan, advance: Advance) -> list[Cost]:
    widest = {"weighting": 3, "stack": plan.stack}
    contestants = {
        "pixel shifts": plan.attention(plan.product, TIMED_CHANNELS),
        f"pixel shifts, weighting 3, stack {plan.stack}": plan.attention(plan.product, TIMED_CHANNELS, **widest),
        "self-attention": plan.attention("softmax", TIMED_CHANNELS),
    }
    costs = []
    for (name, attention), part in itertools.product(contestants.items(), SIDES):
        side = round(part * plan.largest)
        x = torch.rand(1, TIMED_CHANNELS, side, side)
        with torch.inference_mode():
            seconds = fastest(functools.partial(attention, x, every_pixel(x)), REPEAT)
        count = multiplications(attention, side**2)
        costs.append(Cost(attention=name, pixels=side**2, multiplications=count, seconds=seconds))
        advance(1)
    return costs
