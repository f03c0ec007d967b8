"""A layer or a network in exact integers, while a progress bar shows how many frames are done."""

from __future__ import annotations

import numpy as np

from golden.contract.layer import Layer
from golden.contract.network.network import IntegerNetwork
from golden.model import integer
from golden.model.network import network
from golden.support.progress import progress


def run_model(model: Layer | IntegerNetwork, frames: np.ndarray) -> np.ndarray:
    """The outputs ``[N, O, Ho, Wo]`` for integer ``frames`` ``[N, C, H, W]``: int32 of a layer, int64 of a network."""
    label = f"{len(frames)} frames"
    if isinstance(model, IntegerNetwork):
        with progress(label, len(frames)) as advance:
            return network.run(model, frames, advance)
    with progress(label, len(frames) * model.config.out_height * model.config.out_width) as advance:
        return integer.run(model, frames, advance)
