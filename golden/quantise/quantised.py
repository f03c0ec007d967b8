"""A quantised network: its integers, and what floats know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from golden.contract.layer import Layer
from golden.contract.network.argmax import Argmax
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.scales import to_steps
from golden.model.network import network as model


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedNetwork:
    """The integer network that stands for a float one.

    Attributes:
        integers: the network, with all scales recorded.
        attended: names of the layers that a variant put in a convolution's place.
        weight_scales: value of one step of a weight, by the name of each ``linear`` step whose result is raw.
            All outputs share it, so that the highest integer score is the highest score.
    """

    integers: IntegerNetwork
    attended: tuple[str, ...] = ()
    weight_scales: Mapping[str, float] = field(default_factory=dict)

    @property
    def layers(self) -> dict[str, Layer]:
        """All layers by name, in the order of the data flow."""
        return {step.name: step.layer for step in self.integers.steps if isinstance(step, LayerStep)}

    def quantise_images(self, images: np.ndarray) -> np.ndarray:
        """Real images ``[N, C, H, W]`` as the integers that the network takes: int64."""
        image = self.integers.image
        assert image.scale is not None
        return to_steps(np.asarray(images, np.float64), image.scale, image.limits)

    def values(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """The result of every step for integer images ``[N, C, H, W]``, and the images, by name."""
        return model.results(self.integers, frames)

    def scores(self, frames: np.ndarray, advance: Callable[[int], object] = lambda images: None) -> np.ndarray:
        """Integer outputs int64 ``[N, outputs]`` for integer images ``[N, C, H, W]``.

        ``advance`` is called with numbers of images that are done. These numbers add up to N.
        """
        return model.run(self.integers, frames, advance).reshape(len(frames), -1)

    def with_argmax(self, name: str = "answer") -> IntegerNetwork:
        """The network with one more step, ``name``: from scores to the index of the highest."""
        last = Argmax(name=name, inputs=(self.integers.output,))
        return IntegerNetwork(image=self.integers.image, steps=(*self.integers.steps, last), output=name)
