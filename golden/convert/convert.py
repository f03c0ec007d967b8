"""From a network of another framework to an integer network, and how far that is from it.

The float network is compared with the source before it is quantised. So a source that is misread is refused,
not converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.convert.build import Built, build
from golden.convert.compare import Difference, answers_changed, differences, largest_part
from golden.convert.rewrite import rewritten
from golden.convert.source import Given, Source, open_source
from golden.quantise.calibration import Method, Scales, as_frames
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError

#: The most that the float network may be off the source, as a part of the largest value. Sources compute in float32.
TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversion:
    """What a source became.

    Attributes:
        quantised: the integer network, and what floats know of it.
        origins: what each step was in the source, by the step's name.
        ceilings: what the source's ReLUs limit results to, by the step's name.
        differences: how far each step's result, and the image, is from the source's, where the source has it.
        changed: the part of images whose answer is another; None where results are no scores.
        images: how many images were compared.
    """

    quantised: QuantisedNetwork
    origins: Mapping[str, Sequence[str]]
    ceilings: Mapping[str, float]
    differences: Mapping[str, Difference]
    changed: float | None
    images: int

    @property
    def network(self) -> IntegerNetwork:
        """The integer network."""
        return self.quantised.integers


def convert(
    source: Given,
    calibration: Tensor | np.ndarray,
    *,
    bits: int = 8,
    scales: Scales = "float",
    method: Method = "mse",
) -> Conversion:
    """The integer network that stands for a float ``source`` on images like ``calibration``.

    Args:
        source: a PyTorch module in eval mode, an exported program, an ONNX model, or a text that names one of these
            (`golden.convert.source.open_source`).
        calibration: images ``[N, C, H, W]``, floats as the source takes them.
        bits: of weights and activations, 2 to 8. Images, the first layer's weights and those of linear maps have 8.
        scales: ``po2`` makes every step's value and every multiplier a power of two.
        method: how scales are chosen, as for `golden.quantise.layer.quantise`.

    Raises:
        UserError: in one line, naming operation, attribute, value and what is allowed, for what no step of ours
            can be; and for a source that does not run on ``calibration``.
    """
    images = _checked(calibration)
    opened = open_source(source, images)
    shape = opened.graph.image_shape
    if images.shape[1:] != shape:
        raise UserError(
            f"calibration has shape {list(images.shape)}, the source takes [N, {', '.join(map(str, shape))}]"
        )
    built = build(rewritten(opened.graph))
    values = opened.values(images)
    _check_read(built, opened, images, values)
    quantised = quantise_network(built.network, images, Precision(bits=bits, scales=scales), method)
    integers = quantised.values(quantised.quantise_images(images))
    sources = {IMAGE: opened.graph.image} | {name: node.name for name, node in built.nodes.items()}
    last = quantised.integers.output
    return Conversion(
        quantised=quantised,
        origins={name: node.origins for name, node in built.nodes.items()},
        ceilings={step.name: step.ceiling for step in built.network.steps if step.ceiling is not None},
        differences=differences(quantised.integers, integers, values, sources),
        changed=answers_changed(integers[last], values[sources[last]]),
        images=len(images),
    )


def _checked(calibration: Tensor | np.ndarray) -> np.ndarray:
    """Calibration images in float64."""
    images = as_frames(calibration).detach().cpu().double().numpy()
    if images.ndim != 4 or 0 in images.shape:
        raise UserError(f"calibration has shape {list(images.shape)}, allowed is [N, C, H, W] with none of them 0")
    if not np.isfinite(images).all():
        raise UserError("calibration has a value that is NaN or infinite, allowed are finite numbers")
    return images


def _check_read(built: Built, source: Source, images: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
    """Raise `UserError` where the float network computes something else than the source."""
    with torch.no_grad():
        own = built.network.values(torch.from_numpy(images))
    pairs = [(name, node.name) for name, node in built.nodes.items() if node.name in values]
    for name, wanted_name in (*pairs, (built.network.steps[-1].name, source.graph.output)):
        wanted, origin = values[wanted_name], built.nodes[name].origins[-1]
        if not np.isfinite(wanted).all():
            raise UserError(f"{origin} gives a value that is NaN or infinite, allowed are finite numbers")
        gap = largest_part(own[name].numpy().reshape(wanted.shape), wanted)
        if not gap <= TOLERANCE:
            raise UserError(f"{origin} is misread: the float step {name!r} is off by {gap:.2g} of the largest value")
