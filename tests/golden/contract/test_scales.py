"""Real values to a layer's integers and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from golden.contract.layer import Layer
from golden.contract.ranges import Range
from golden.contract.scales import dequantise_output, quantise_input, to_steps
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError


def scaled_layer(**fields: Any) -> Layer:
    return random_layer(np.random.default_rng(0), in_channels=1, out_channels=1, height=1, width=1, **fields)


def test_rounds_half_to_even_and_saturates() -> None:
    values = np.array([-9.0, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 9.0])
    assert to_steps(values, 0.5, Range(-4, 3)).tolist() == [-4, -2, -2, 0, 0, 2, 2, 3]


@pytest.mark.parametrize(("signed", "expected"), [(False, [0, 0, 2, 15]), (True, [-8, -2, 2, 7])])
def test_input_in_the_layers_format(signed: bool, expected: list[int]) -> None:
    layer = scaled_layer(in_bits=4, in_signed=signed, in_scale=0.25)
    codes = quantise_input(layer, np.array([-100.0, -0.4, 0.6, 100.0], np.float32))
    assert codes.dtype == np.int64 and codes.tolist() == expected


def test_output_in_steps_of_out_scale() -> None:
    values = dequantise_output(scaled_layer(out_scale=0.125), np.array([[-3, 255]], np.int32))
    assert values.dtype == np.float64 and values.tolist() == [[-0.375, 31.875]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_input_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(UserError, match="input has a value that is NaN or infinite"):
        quantise_input(scaled_layer(in_scale=1.0), np.array([0.0, value]))


def test_a_layer_without_scales_is_refused() -> None:
    layer = scaled_layer(in_scale=1.0)
    with pytest.raises(UserError, match="the layer file records no out_scale"):
        dequantise_output(layer, np.zeros(1, np.int32))
    layer = dataclasses.replace(layer, config=dataclasses.replace(layer.config, in_scale=None))
    with pytest.raises(UserError, match="the layer file records no in_scale"):
        quantise_input(layer, np.zeros(1))


def test_tensors_and_lists_are_arrays() -> None:
    layer = scaled_layer(in_bits=4, in_signed=False, in_scale=0.25, out_scale=0.125)
    values = [[0.3, 1.0], [-2.0, 9.0]]
    for given in (values, torch.tensor(values, requires_grad=True), torch.tensor(values, dtype=torch.bfloat16)):
        assert quantise_input(layer, given).tolist() == [[1, 4], [0, 15]]
    assert dequantise_output(layer, torch.tensor([-3, 255])).tolist() == [-0.375, 31.875]
    assert layer.check_input(torch.ones(1, 1, 1, dtype=torch.uint8)).tolist() == [[[[1]]]]
    for given, message in (("abc", "input has dtype <U3"), ([[1.0], [1.0, 2.0]], "input is no array")):
        with pytest.raises(UserError, match=f"^{message}"):
            quantise_input(layer, given)
