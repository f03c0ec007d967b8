"""Networks for tests: small graphs, and frames that reach the limits of their formats."""

from __future__ import annotations

import numpy as np

from golden.contract.network.network import IntegerNetwork


def extreme_frames(network: IntegerNetwork, count: int, seed: int) -> np.ndarray:
    """Frames ``[count, C, H, W]``: the first has elements at the limits only, the others are uniform."""
    rng = np.random.default_rng(seed)
    limits = network.image.limits
    frames = rng.integers(limits.low, limits.high, (count, *network.image.shape), endpoint=True)
    frames[0] = rng.choice([limits.low, limits.high], frames[0].shape)
    return frames
