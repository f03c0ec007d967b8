"""Multipliers are exact where they can be, and say how near they are where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from golden.convert.multipliers import multipliers_for
from golden.support.cli import UserError


def test_exact_ratios_get_the_least_shift() -> None:
    found = multipliers_for(np.array([0.5, 3 / 8, 40.0]))
    assert (found.values.tolist(), found.shift, found.errors.tolist()) == ([4, 3, 320], 3, [0, 0, 0])


def test_other_ratios_are_as_near_as_16_bits_allow() -> None:
    ratios = np.array([1 / 3, 0.01, 2.0**-30])
    found = multipliers_for(ratios)
    assert 2**15 <= found.values.max() < 2**16 and found.values.min() == 1
    np.testing.assert_array_equal(found.errors, np.abs(found.values / 2.0**found.shift - ratios))
    assert 0 < found.errors[0] <= 2.0 ** -(found.shift + 1)


def test_a_ratio_beyond_all_multipliers() -> None:
    with pytest.raises(UserError, match="is 65536 steps of its result, allowed are 65535"):
        multipliers_for(np.array([65536.0]))
