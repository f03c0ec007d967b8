"""The scale of activations, where none follows from them."""

from __future__ import annotations

import numpy as np
import pytest

from golden.contract.ranges import Range
from golden.quantise.calibration import activation_scale
from golden.support.cli import UserError


@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize(
    ("values", "signed", "words"),
    [
        (np.zeros(3), True, "calibration is 0 everywhere, which gives no scale"),
        (-np.arange(3.0), False, "calibration is nowhere above 0, and the format is unsigned, which gives no scale"),
    ],
)
def test_values_without_a_scale(method: str, values: np.ndarray, signed: bool, words: str) -> None:
    with pytest.raises(UserError, match=f"^{words}$"):
        activation_scale(values, Range.of_format(8, signed), method)  # type: ignore[arg-type]
