"""From a network of another framework to an integer network, and how far that is from it.

The float network is compared with the source before it is quantised. So a source that is misread is refused,
not converted. A source that is quantised itself is not quantised again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.scales import to_steps
from golden.convert.build import Built, build
from golden.convert.clipping import clipped
from golden.convert.compare import Difference, answers_changed, differences, largest_part
from golden.convert.exact import build_exact
from golden.convert.graph import Graph, Node
from golden.convert.held import Held
from golden.convert.rewrite import rewritten
from golden.convert.source import Given, Source, needed, open_source
from golden.model.network import network as model
from golden.quantise.calibration import Method, Scales, as_frames
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.support.cli import UserError

#: The most that the float network may be off the source, as a part of the largest value. Sources compute in float32.
TOLERANCE = 1e-3
#: Bits of a float network's weights and activations where nothing is said.
BITS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversion:
    """What a source became.

    Attributes:
        network: the integer network.
        origins: what each step was in the source, by the step's name; of the image, how it was quantised.
        names: the source's name of each step's result, and of the image. It need not have all of them.
        ceilings: what a float source's ReLUs limit results to, by the step's name.
        bounds: of a quantised source, how many steps each result may be off before it rounds; 0 is exact. Else empty.
        held: what the integers of each result stand for. A result with a zero point has no scale in a file.
        differences: how far each step's result, and the image, is from the source's, where the source has it.
        changed: the part of images whose answer is another; None where results are no scores, or none were compared.
        images: how many images were compared.
        clipped: how many weights of a step were clipped, by its name. ``bounds`` are of what they were clipped to.
    """

    network: IntegerNetwork
    origins: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    ceilings: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, float] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    differences: Mapping[str, Difference] = field(default_factory=dict)
    changed: float | None = None
    images: int = 0
    clipped: Mapping[str, int] = field(default_factory=dict)


def convert(
    source: Given,
    calibration: Tensor | np.ndarray | None = None,
    *,
    bits: int | None = None,
    scales: Scales | None = None,
    method: Method | None = None,
    clip_weights: bool = False,
) -> Conversion:
    """The integer network that stands for ``source``, and how far it is from it on images like ``calibration``.

    Args:
        source: a PyTorch module in eval mode, an exported program, an ONNX model, or a text that names one of these
            (`golden.convert.source.open_source`).
        calibration: images ``[N, C, H, W]``, floats as the source takes them. A float network's scales follow from
            them, a quantised one is compared on them, if there are any.
        bits: of a float network's weights and activations, 2 to 8. Images, the first layer's weights and those of
            linear maps have 8. None: 8.
        scales: ``po2`` makes the steps of a float network, and all multipliers, powers of two. None: ``float``.
        method: how a float network's scales are chosen, as for `golden.quantise.layer.quantise`. None: ``mse``.
        clip_weights: makes weights of -128 steps, which a quantised source may have, -127. Else they are refused.

    Raises:
        UserError: in one line, naming operation, attribute, value and what is allowed, for what no step of ours
            can be; for a source that does not run on ``calibration``; and for options that a quantised source
            leaves nothing to choose with.
    """
    images = None if calibration is None else _checked(calibration)
    opened = open_source(source, images)
    shape = opened.graph.image_shape
    if images is not None and images.shape[1:] != shape:
        allowed = ", ".join(map(str, shape))
        raise UserError(f"calibration has shape {list(images.shape)}, the source takes [N, {allowed}]")
    graph = rewritten(opened.graph)
    if not opened.quantised:
        if clip_weights:
            raise UserError("clip_weights is for quantised sources, weights of float networks have no -128")
        precision = Precision(bits=BITS if bits is None else bits, scales=scales or "float")
        return _quantised(opened, graph, needed(images), precision, method or "mse")
    for name, value in (("bits", bits), ("scales", scales), ("method", method)):
        if value is not None:
            raise UserError(f"{name} {value} is for float networks, the source says itself how it is quantised")
    graph, clips = clipped(graph) if clip_weights else (graph, {})
    return _exact(opened, graph, images, clips)


def _quantised(source: Source, graph: Graph, images: np.ndarray, precision: Precision, method: Method) -> Conversion:
    """A float source, quantised after training."""
    built = build(graph)
    values = source.values(images)
    _check_read(built, source, images, values)
    network = quantise_network(built.network, images, precision, method).integers
    ceilings = {step.name: step.ceiling for step in built.network.steps if step.ceiling is not None}
    names = {IMAGE: source.graph.image} | {name: node.name for name, node in built.nodes.items()}
    scales = {name: result.scale for name, result in network.results.items()}
    held = {name: Held(scale=scale) for name, scale in scales.items() if scale is not None}
    converted = Conversion(network=network, origins=_origins(built.nodes), names=names, ceilings=ceilings, held=held)
    return _compared(converted, source, values, images)


def _exact(source: Source, graph: Graph, images: np.ndarray | None, clips: Mapping[str, int]) -> Conversion:
    """A source that is quantised itself, with so many clipped weights of each of its nodes."""
    exact = build_exact(graph)
    clipped = {name: clips[node.name] for name, node in exact.nodes.items() if node.name in clips}
    names = {name: node.name for name, node in exact.nodes.items()}
    converted = Conversion(
        network=exact.network,
        origins=_origins(exact.nodes),
        names=names,
        bounds=exact.bounds,
        held=exact.held,
        clipped=clipped,
    )
    return converted if images is None else _compared(converted, source, source.values(images), images)


def _compared(
    converted: Conversion, source: Source, values: Mapping[str, np.ndarray], images: np.ndarray
) -> Conversion:
    """``converted`` with how far it is from the ``values`` that ``source`` computes."""
    image, last = converted.network.image, converted.network.output
    assert image.scale is not None
    integers = model.results(converted.network, to_steps(images, image.scale, image.limits))
    return dataclasses.replace(
        converted,
        differences=differences(converted.held, integers, values, converted.names),
        changed=answers_changed(integers[last], values[source.graph.output]),
        images=len(images),
    )


def _origins(nodes: Mapping[str, Node]) -> Mapping[str, Sequence[str]]:
    return {name: node.origins for name, node in nodes.items()}


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
