"""Quantisation-aware training: a merged network goes on training with the integers it will have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from golden.operators.network import Network
from golden.quantise.calibration import Method
from golden.quantise.fake import FakeQuantised
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.training import Task
from golden.training.train import Schedule, train


def train_quantised(
    network: Network,
    task: Task,
    schedule: Schedule,
    precision: Precision,
    calibration: Tensor | np.ndarray,
    *,
    method: Method = "mse",
    advance: Callable[[float], object] = lambda part: None,
) -> tuple[FakeQuantised, list[dict[str, Any]]]:
    """Train a merged ``network`` in place as it will be quantised.

    Before each epoch `quantise_network` chooses all scales anew, from the weights of the moment, on
    ``calibration``. Within an epoch the scales are fixed, and weights and biases learn.

    Returns:
        The fake-quantised network, whose `quantised` form is the result, and the curve as `train`
        returns it.

    Raises:
        UserError: as `quantise_network` and `train` raise it, and for bounds at which the forward pass
            would not be exact.
    """
    fake = FakeQuantised(network, quantise_network(network, calibration, precision, method))

    def refresh(epoch: int) -> None:
        if epoch:
            fake.formats = quantise_network(network, calibration, precision, method)

    return fake, train(fake, task, schedule, advance=advance, before_epoch=refresh)
