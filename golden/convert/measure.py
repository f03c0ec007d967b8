"""How a converted network answers many images, and how far it is from its source on them.

`golden.convert.compare` looks at all results at once. Here images come in batches, and each step is looked at alone,
too: it takes what the source has there, so that no earlier step's difference adds to its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from golden.contract.scales import to_steps
from golden.convert.compare import answers, in_steps
from golden.convert.convert import Conversion
from golden.convert.source import Source
from golden.model.network import network as model
from golden.model.network.steps import RUN

#: Images that are computed at a time.
BATCH = 250


@dataclass(kw_only=True)
class Gap:
    """How far results are from a source's, in steps of each result.

    Attributes:
        steps: the largest difference.
        unequal: elements that are not the source's value rounded to steps.
        elements: how many were compared.
    """

    steps: float = 0.0
    unequal: int = 0
    elements: int = 0

    @property
    def part(self) -> float:
        """The part of all elements that differ."""
        return self.unequal / self.elements if self.elements else 0.0

    def compare(self, own: np.ndarray, wanted: np.ndarray) -> None:
        """Count results that are ``own`` whole steps, of which the source has ``wanted``."""
        self.steps = max(self.steps, float(np.abs(own - wanted).max()))
        self.unequal += int(np.count_nonzero(own != np.rint(wanted)))
        self.elements += own.size


@dataclass(kw_only=True)
class Measured:
    """What came of all images so far.

    Attributes:
        images: how many.
        source, integers: how many of them the source, and the integer network, answer rightly.
        changed: for how many both answer differently.
        together: the gap of the image and all steps but the last, in the network as it is.
        alone: the gap of all steps, each of the source's own inputs; of a source that is not quantised, of nothing.
    """

    images: int = 0
    source: int = 0
    integers: int = 0
    changed: int = 0
    together: Gap = field(default_factory=Gap)
    alone: Gap = field(default_factory=Gap)


def measure(
    converted: Conversion,
    source: Source,
    images: np.ndarray,
    labels: np.ndarray,
    advance: Callable[[int], object] = lambda images: None,
) -> Measured:
    """How ``converted`` and its ``source`` answer.

    Args:
        converted: what ``source`` became.
        source: gives scores.
        images: floats ``[N, C, H, W]``.
        labels: the right answers, integers ``[N]``.
        advance: called with numbers of images that are done. These numbers add up to N.
    """
    found = Measured()
    for start in range(0, len(images), BATCH):
        which = slice(start, start + BATCH)
        _measure(found, converted, source, images[which], labels[which])
        advance(len(labels[which]))
    return found


def _measure(found: Measured, converted: Conversion, source: Source, images: np.ndarray, labels: np.ndarray) -> None:
    """Add a batch to what was ``found``."""
    network, values = converted.network, source.values(images)
    image = network.image
    assert image.scale is not None
    integers = model.results(network, to_steps(images, image.scale, image.limits))
    own, wanted = answers(integers[network.output]), answers(values[source.graph.output])
    found.images += len(labels)
    found.source += int(np.count_nonzero(wanted == labels))
    found.integers += int(np.count_nonzero(own == labels))
    found.changed += int(np.count_nonzero(own != wanted))
    own_steps = {name: held.steps(integers[name]) for name, held in converted.held.items()}
    steps = in_steps(converted.held, integers, values, converted.names)
    for name in steps.keys() - {network.output}:
        found.together.compare(own_steps[name], steps[name])
    if source.quantised:
        held = converted.held
        for step in network.steps:
            if {step.name, *step.inputs} <= steps.keys():
                alone = RUN[step.op](step, [held[name].integers(steps[name]) for name in step.inputs])
                found.alone.compare(held[step.name].steps(alone), steps[step.name])
