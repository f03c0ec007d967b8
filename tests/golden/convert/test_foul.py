"""Anything as an ONNX file: a network, or one line."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from golden.convert.convert import convert
from golden.convert.export import to_qonnx
from golden.convert.onnx_file import read_onnx
from golden.convert.onnx_ops import OPERATIONS
from golden.convert.qdq_ops import MICROSOFT, QDQ_OPERATIONS
from golden.convert.qonnx_ops import DOMAIN, QONNX_OPERATIONS
from golden.convert.qoperator_ops import MICROSOFT_OPERATIONS, QLINEAR_OPERATIONS
from golden.layers.residual import random_resnet
from golden.support.cli import UserError
from tests.support.brevitas_networks import FILES
from tests.support.onnx_models import classifier, images, model
from tests.support.places import ROOT

quick = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BREVITAS = (ROOT / "tests" / "golden" / "convert" / "brevitas" / next(iter(FILES))).read_bytes()
#: What is written here, of a network without attention.
OURS = to_qonnx(random_resnet(5, side=8, widths=(4,), blocks=(1,), classes=3)).SerializeToString()


@quick
@given(data=st.data())
def test_foul_bytes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Truncated, with bytes changed, or no protobuf at all."""
    content = bytearray(data.draw(st.sampled_from([classifier().SerializeToString(), BREVITAS, OURS])))
    kind = data.draw(st.sampled_from(["cut", "changed", "random"]))
    if kind == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif kind == "changed":
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    else:
        content = bytearray(data.draw(st.binary(max_size=200)))
    path = tmp_path_factory.getbasetemp() / "foul.onnx"
    path.write_bytes(content)
    refused_or_done(lambda: read_onnx(path))


def refused_or_done(made: Any) -> None:
    """Read it without images: a quantised file is converted, a float one is refused for the lack of them."""
    try:
        convert(made())
    except UserError as error:
        assert str(error)


#: Constants that nodes may take, by name, and the image and what is left out beside them.
CONSTANTS = {
    "zero": np.float32(0),
    "six": np.float32(6),
    "nan": np.full(2, np.nan, np.float32),
    "two": np.array([1, -2], np.float32),
    "kernel": np.ones((2, 2, 3, 3), np.float32),
    "pixels": np.ones((1, 2, 1, 1), np.float32),
    "matrix": np.ones((72, 3), np.float32),
    "shape": np.array([0, -1]),
    "axes": np.array([2, 3]),
    "factors": np.array([1, 1, 2, 2], np.float32),
    "none": np.zeros(0, np.float32),
    "true": np.array(True),
    "byte": np.int8(0),
    "bytes": np.ones((2, 2, 1, 1), np.int8),
}
NAMES = ("x", "flat", "integers", "", *CONSTANTS)
#: Attributes of all operations.
ATTRIBUTES = ("axis", "axes", "group", "kernel_shape", "pads", "strides", "dilations", "auto_pad", "ceil_mode", "alpha")
ATTRIBUTES += ("transA", "transB", "keepdims", "mode", "nearest_mode", "signed", "narrow", "rounding_mode", "epsilon")
ATTRIBUTES += ("to", "block_size", "output_dtype", "channels_last")
VALUES = st.one_of(
    st.integers(-2, 4),
    st.lists(st.integers(-1, 3), min_size=1, max_size=5),
    st.sampled_from([[1, 1], [1, 1, 1, 1], [3, 3], [2, 3], "SAME_UPPER", "ROUND", "nearest", "", 0.5, float("nan")]),
)


@quick
@given(data=st.data())
def test_any_node(data: st.DataObject) -> None:
    """Any operation with any inputs and attributes. The checker of ONNX knows nothing of other domains."""
    operations = {**OPERATIONS, **QONNX_OPERATIONS, **QDQ_OPERATIONS, **QLINEAR_OPERATIONS, **MICROSOFT_OPERATIONS}
    op = data.draw(st.sampled_from(sorted(operations)))
    most = len(inspect.signature(operations[op]).parameters)
    inputs = ["x", *data.draw(st.lists(st.sampled_from(NAMES), max_size=most))]
    attributes = data.draw(st.dictionaries(st.sampled_from(ATTRIBUTES), VALUES, max_size=3))
    domain = DOMAIN if op in QONNX_OPERATIONS else MICROSOFT if op in MICROSOFT_OPERATIONS else ""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "six", "byte"], ["integers"]),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node(op, data.draw(st.permutations(inputs)), ["y"], domain=domain, **attributes),
    ]
    refused_or_done(lambda: model(nodes, CONSTANTS, domains={DOMAIN: 1, MICROSOFT: 1}))


def test_a_float_file_needs_images() -> None:
    with pytest.raises(UserError, match="calibration is missing, a float network needs images"):
        convert(classifier())


def test_what_is_no_source() -> None:
    for source, message in [(3, "is no module, program or ONNX model"), ("net", "or package.module:name")]:
        with pytest.raises(UserError, match=message):
            convert(source, images())


def test_an_empty_model() -> None:
    with pytest.raises(UserError, match="opset None is not read"):
        convert(onnx.ModelProto())
