"""A whole network in exact integers, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.model.network.steps import RUN

#: Elements of all results of a batch together. A batch that fits the caches is not faster than this.
BATCH_ELEMENTS = 2**24


def run(network: IntegerNetwork, x: np.ndarray, advance: Callable[[int], object] = lambda frames: None) -> np.ndarray:
    """The network's output frames.

    Args:
        network: the network.
        x: integer frames ``[N, C, H, W]`` or ``[C, H, W]``.
        advance: called with numbers of frames that are done. These numbers add up to N.

    Returns:
        int64 ``[N, K, Ho, Wo]``.

    Raises:
        UserError: for frames that are not the network's input, see `IntegerNetwork.check_input`.
    """
    frames = network.check_input(x)
    last = _last_takers(network)
    batches = []
    for batch in _batches(network, frames):
        values = {IMAGE: batch}
        for index, step in enumerate(network.steps):
            values[step.name] = RUN[step.op](step, [values[name] for name in step.inputs])
            # What nobody takes any more gives its memory back.
            for name in {*step.inputs} - {network.output}:
                if last[name] == index:
                    del values[name]
        batches.append(values[network.output].astype(np.int64))
        advance(len(batch))
    return np.concatenate(batches)


def results(network: IntegerNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    """The result of every step, and the image, by name: integers ``[N, K, H, W]`` each.

    Raises `UserError` for frames that are not the network's input, see `IntegerNetwork.check_input`.
    """
    values: dict[str, np.ndarray] = {IMAGE: network.check_input(x)}
    for step in network.steps:
        values[step.name] = RUN[step.op](step, [values[name] for name in step.inputs])
    return values


def _last_takers(network: IntegerNetwork) -> Mapping[str, int]:
    """The index of the last step that takes each result."""
    return {name: index for index, step in enumerate(network.steps) for name in step.inputs}


def _batches(network: IntegerNetwork, frames: np.ndarray) -> Iterator[np.ndarray]:
    elements = sum(result.channels * result.height * result.width for result in network.results.values())
    size = max(1, BATCH_ELEMENTS // elements)
    for start in range(0, len(frames), size):
        yield frames[start : start + size]
