"""Node: a part of a network between streams, as gateware and as a model of its cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from amaranth.lib import wiring

from hw.network.beat import Beat

#: A cycle before all others.
EVER = -(1 << 60)


@dataclass(frozen=True, kw_only=True)
class Times:
    """When a node's beats move, in cycles: int64, one number for each beat of all frames.

    Attributes:
        taken: for each input, when each beat is transferred.
        given: for each output, when each beat is offered first.
    """

    taken: Sequence[np.ndarray]
    given: Sequence[np.ndarray]


class Node(Protocol):
    """What every node has."""

    @property
    def inputs(self) -> tuple[Beat, ...]:
        """The beats of each input."""

    @property
    def outputs(self) -> tuple[Beat, ...]:
        """The beats of each output."""

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        """Beats of a frame on each input."""

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        """Beats of a frame on each output."""

    def component(self) -> wiring.Component:
        """The gateware, with streams ``i_0``, ``i_1``, ... and ``o_0``, ``o_1``, ... in the domain ``sync``."""

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        """When beats move.

        Args:
            arrivals: for each input, int64, the cycle from which each beat is offered once those before it are taken.
            left: for each output, int64, a cycle before which each beat does not leave, though it may be offered. By
                default each leaves in the cycle in which it is offered.
        """


def behind(left: np.ndarray, places: int) -> np.ndarray:
    """int64 ``[len(left)]``: from when each beat finds one of ``places``, which a beat frees a cycle after it left."""
    return np.concatenate([np.full(places, EVER, np.int64), left + 1])[: len(left)]


def offered_behind(given: Sequence[np.ndarray], left: Sequence[np.ndarray] | None) -> list[np.ndarray]:
    """When beats are offered that could be at ``given``: each once the one before it has left."""
    if left is None:
        return list(given)
    return [np.maximum(own, behind(gone, 1)) for own, gone in zip(given, left, strict=True)]


def one_a_cycle(earliest: np.ndarray) -> np.ndarray:
    """Cycles, at least one apart and not before ``earliest``, as early as they can be."""
    order = np.arange(len(earliest))
    return np.maximum.accumulate(earliest - order) + order
