"""Files of ONNX Runtime's quantiser: the integers are its own, unfused, in every step, or the file is refused by name.

A file is of one of two kinds. QDQ says with pairs of nodes where results are integers. QOperator has operations on
integers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from golden.convert.convert import convert
from golden.convert.onnx_graph import OnnxSource
from golden.support.cli import UserError
from tests.support.conversions import check_exact, check_refused, steps_off
from tests.support.onnx_models import WEIGHT, images, model, node
from tests.support.onnxruntime_networks import OPTIONS, quantised, residual, with_powers_of_two
from tests.support.tiers import thorough

IMAGES = 2 * images(12, (2, 8, 8))
#: The domain of ONNX Runtime's own operations.
OWN = "com.microsoft"


def written(name: str, *, qdq: bool, padding: int, signed: bool) -> tuple[onnx.ModelProto, np.ndarray]:
    """What the quantiser writes with some of `OPTIONS`, and images."""
    x = IMAGES if signed else np.abs(IMAGES)
    return quantised(residual(padding), x, qdq=qdq, **OPTIONS[name]), x


#: Options of the quantiser, padding of convolutions, and whether images have a sign. With zero points, they have none.
WRITTEN = [("symmetric", 0, True), ("restricted", 1, True), ("asymmetric", 1, False), ("unsigned", 0, False)]


@pytest.mark.parametrize("qdq", [True, False])
@pytest.mark.parametrize(("name", "padding", "signed"), WRITTEN)
def test_powers_of_two_are_exact(name: str, padding: int, signed: bool, qdq: bool) -> None:
    source, x = written(name, qdq=qdq, padding=padding, signed=signed)
    converted = convert(with_powers_of_two(source), x)
    # What a concatenation takes is rounded before it here, and a zero point is taken off behind the last step.
    lacking = [step.name for step in converted.network.steps if step.name not in converted.differences]
    assert all(own.startswith("joined") or own.endswith("_plain") for own in lacking)
    check_exact(converted, but=lacking)
    assert set(converted.bounds.values()) == {0}
    zeros = {own.zero % 2 for own in converted.held.values() if not own.plain}
    assert zeros == ({0} if name in ("asymmetric", "unsigned") else set())


@pytest.mark.parametrize("qdq", [True, False])
@pytest.mark.parametrize(("name", "padding", "signed"), WRITTEN)
def test_float_scales_are_off_by_a_step_at_most(name: str, padding: int, signed: bool, qdq: bool) -> None:
    source, x = written(name, qdq=qdq, padding=padding, signed=signed)
    converted = convert(source, x)
    assert max(converted.bounds.values()) < 0.02
    assert converted.changed == 0
    off = steps_off(OnnxSource(source), x)
    assert max(int(gap.max()) for gap in off.values()) <= 1
    # Means of four elements are often just between two steps. There floats of the source's are off either way.
    means = off.pop("mean_node" if qdq else "mean_node_quant")
    assert means.mean() < (0.05 if qdq else 0.001)
    assert np.concatenate([gap.ravel() for gap in off.values()]).mean() < 0.001


def test_pairs_of_each_taker() -> None:
    """What is quantised for each taker alike is one step, and weights may be of floats that are quantised."""
    source, x = written("own_pairs", qdq=True, padding=1, signed=True)
    assert [step.name for step in convert(source, x).network.steps] == [
        *("stem_node", "wide_node", "deep_node", "sum_node", "max_node", "side_node"),
        *("joined_QuantizeLinear", "joined_node", "mean_node", "all_node", "y_node"),
    ]
    assert max(int(gap.max()) for gap in steps_off(OnnxSource(source), x).values()) <= 1


class Builder:
    """Nodes that quantise, and the constants that they take."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(node(op, inputs, name, **attributes))
        return name

    def constant(self, name: str, value: Any, kind: Any = np.float32) -> str:
        self.constants[name] = np.asarray(value, kind)
        return name

    def steps(self, name: str, scale: Any, zero: Any = 0, kind: Any = np.int8) -> list[str]:
        """Constants of a scale and a zero point."""
        return [self.constant(f"{name}_scale", scale), self.constant(f"{name}_zero", zero, kind)]

    def integers(self, x: str, name: str, scale: Any, zero: Any = 0, kind: Any = np.int8, **attributes: Any) -> str:
        return self.add("QuantizeLinear", [x, *self.steps(name, scale, zero, kind)], name, **attributes)

    def floats(self, x: str, name: str, scale: Any, zero: Any = 0, kind: Any = np.int8, **attributes: Any) -> str:
        return self.add("DequantizeLinear", [x, *self.steps(name, scale, zero, kind)], name, **attributes)

    def pair(self, x: str, name: str, scale: Any, zero: Any = 0, kind: Any = np.int8) -> str:
        """Floats that are quantised."""
        return self.floats(self.integers(x, f"{name}_q", scale, zero, kind), name, scale, zero, kind)

    def weight(self, name: str, values: Any, scale: Any = 0.5, zero: Any = 0, kind: Any = np.int8) -> str:
        return self.floats(self.constant(f"{name}_q", values, kind), name, scale, zero, kind, axis=0)

    def model(self, output: str = "y") -> onnx.ModelProto:
        return model(self.nodes, self.constants, shape=("n", 2, 8, 8), opset=21, output=output, domains={OWN: 1})


#: Weights of a convolution of two channels.
STEPS = np.random.default_rng(4).integers(-3, 4, WEIGHT.shape)


@pytest.mark.parametrize("qdq", [True, False])
@pytest.mark.parametrize("zero", [0, -128, 3, -4, 127, -1])
def test_ties(zero: int, qdq: bool) -> None:
    """Every second sum is at a tie. The zero point is added behind the rounding, so that an odd one leaves ties even.

    A network that added it before would be a step off at each tie.
    """
    b = Builder()
    pointwise = STEPS[:, :, :1, :1].repeat(2, axis=1)
    if qdq:
        y = b.pair(b.add("Conv", [b.pair("x", "x_f", 0.5), b.weight("w", STEPS, 1.0)], "c"), "c_f", 1.0, zero)
        b.pair(b.add("Conv", [y, b.weight("v", pointwise, 1.0)], "d"), "y", 2.0, -zero - 1)
    else:
        y, taken = b.integers("x", "x_q", 0.5), ["x_q_scale", "x_q_zero"]
        for name, weight, scale, own in (("c", STEPS, 1.0, zero), ("d", pointwise, 2.0, -zero - 1)):
            weights = [b.constant(f"{name}_w", weight, np.int8), *b.steps(f"{name}_ws", 1.0)]
            given = b.steps(f"{name}_s", scale, own)
            y, taken = b.add("QLinearConv", [y, *taken, *weights, *given], name), given
        b.add("DequantizeLinear", [y, *taken], "y")
    converted = convert(b.model(), 9 * images(4, (2, 8, 8)))
    check_exact(converted, but=[step.name for step in converted.network.steps if step.name.endswith("_plain")])
    assert set(converted.bounds.values()) == {0}
    assert all(own.zero % 2 == 0 for own in converted.held.values())


def test_integers_between_a_pair() -> None:
    """What gives some of what it takes may take integers. Constants may be moved before they are used."""
    b = Builder()
    x = b.integers("x", "x_q", 0.5)
    small = b.add("MaxPool", [x], "small", kernel_shape=[2, 2], strides=[2, 2])
    joined = b.floats(b.add("Concat", [small, small], "joined", axis=1), "joined_f", 0.5)
    flat = b.add("Flatten", [joined], "flat")
    values = np.random.default_rng(5).integers(-7, 8, (3, 64))
    weight = b.add("Transpose", [b.weight("w", values, [0.5, 0.25, 1], [0, 0, 0])], "w_t", perm=[1, 0])
    b.pair(b.add("MatMul", [flat, weight], "m"), "y", 4.0, kind=np.int16)
    converted = convert(b.model(), 9 * images(4, (2, 8, 8)))
    check_exact(converted)
    assert [(step.op, converted.network.results[step.name].bits) for step in converted.network.steps] == [
        ("max_pool", 8),
        ("concat", 8),
        ("linear", 16),
    ]


@pytest.mark.parametrize(("first", "zero"), [(True, -128), (True, 0), (False, -128)])
def test_a_relu_of_a_mean(first: bool, zero: int) -> None:
    """A mean has none. Its rounding does what a ReLU does if it has nothing below 0, else a layer behind it does."""
    b = Builder()
    x = b.add("AveragePool", [b.pair("x", "x_f", 0.5)], "m", kernel_shape=[2, 2], strides=[2, 2])
    x = b.add("Relu", [x], "r") if first else b.pair(x, "m_f", 0.25)
    b.pair(x if first else b.add("Relu", [x], "r"), "y", 0.25, zero)
    converted = convert(b.model(), 30 * images(4, (2, 8, 8)))
    check_exact(converted, but=["m_node"] if first and not zero else [])
    assert [step.op for step in converted.network.steps] == ["avg_pool", *([] if first and zero else ["layer"])]


def test_a_limit_before_a_relu() -> None:
    """The ReLU comes before what quantises the limited result. The limit is that of both."""
    b = Builder()
    b.constants |= {"low": np.float32(0), "high": np.float32(4)}
    y = b.pair(b.add("Clip", [b.pair("x", "x_f", 0.5), "low", "high"], "l"), "l_f", 0.0625, kind=np.uint8)
    b.pair(b.add("Relu", [b.add("MaxPool", [y], "m", kernel_shape=[2, 2])], "r"), "y", 0.0625, -128)
    check_refused(lambda: convert(b.model()), "a limit of 4 is below 15.9375, where its format ends")


@pytest.mark.parametrize("zero", [4, 3, -100, 127])
def test_zero_points_of_sums(zero: int) -> None:
    """An addition and a mean have no bias. What they take has the zero point, in finer steps where that is exact."""
    b = Builder()
    x = b.pair("x", "x_f", 0.25)
    c = b.pair(b.add("Conv", [x, b.weight("w", np.eye(2)[:, :, None, None] * 3)], "c"), "c_f", 0.5, 5)
    y = b.pair(b.add("Add", [x, c], "a"), "a_f", 0.125, zero)
    y = b.pair(b.add("AveragePool", [y], "m", kernel_shape=[2, 2], strides=[2, 2]), "m_f", 1.0, zero - 1)
    b.pair(b.add("Conv", [y, b.weight("v", STEPS[:, :, :1, :1])], "d"), "y", 2.0)
    converted = convert(b.model(), 9 * images(4, (2, 8, 8)))
    check_exact(converted, but=[own for own in converted.held if own.endswith(("_plain", "_shifted"))])
    assert set(converted.bounds.values()) == {0}


@pytest.mark.parametrize("zero", [4, 3, -101])
@pytest.mark.parametrize(
    "op", ["QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearConcat"]
)
def test_zero_points_of_operations_on_integers(op: str, zero: int) -> None:
    """ONNX Runtime's kernels differ in what they do first, round or add the zero point. Ties are frequent."""
    b = Builder()
    x, of_x = b.integers("x", "x_q", 0.25), ["x_q_scale", "x_q_zero"]
    attributes: dict[str, Any] = {"domain": OWN}
    given = b.steps("y", 0.5, zero)
    inputs = {
        "QLinearAdd": [x, *of_x, x, *of_x, *given],
        "QLinearMul": [x, *of_x, b.constant("factor", [[[3]], [[1]]], np.int8), *b.steps("fs", 1.0), *given],
        "QLinearConcat": [*given, x, *of_x, x, *of_x],
    }.get(op, [x, *of_x, *given])
    if op == "QLinearConcat":
        attributes["axis"] = 1
    if op == "QLinearAveragePool":
        attributes |= {"kernel_shape": [2, 2]}
    b.floats(b.add(op, inputs, "c", **attributes), "d", 0.5, zero)
    weight = STEPS[:, :, :1, :1].repeat(2 if op == "QLinearConcat" else 1, axis=1)
    b.pair(b.add("Conv", ["d", b.weight("v", weight)], "e"), "z", 2.0)
    converted = convert(b.model("z"), 9 * images(4, (2, 8, 8)))
    # What is joined is rounded before.
    lacking = [own for own in converted.held if own.endswith(("_plain", "_shifted")) or own == "c_node"]
    check_exact(converted, but=lacking)
    assert set(converted.bounds.values()) == {0}


def test_a_limit_between_two_pairs() -> None:
    """It is no limit of the second one's type, whose steps are finer, but of the first one's."""
    b = Builder()
    b.constants |= {"low": np.float32(0), "high": np.float32(6)}
    c = b.pair(b.add("Conv", [b.pair("x", "x_f", 0.5), b.weight("w", STEPS)], "c"), "c_f", 0.125)
    b.pair(b.add("Clip", [c, "low", "high"], "r"), "y", 2.0**-5)
    converted = convert(b.model(), 3 * images(4, (2, 8, 8)))
    check_exact(converted)
    assert [step.name for step in converted.network.steps] == ["c_node", "r_node"]


def test_types_of_4_bits() -> None:
    kind = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.INT4)
    converted = convert(conv({"kind": kind}, {"kind": kind})(), 9 * images(4, (2, 8, 8)))
    check_exact(converted)
    assert converted.network.output_result.bits == 4


def test_operations_on_integers() -> None:
    """Those that the quantiser writes for no network above; scores without a scale are of floats."""
    b = Builder()
    x = b.integers("x", "x_q", 0.5)
    shift = b.constant("shift", [[[3]], [[-5]]], np.int8)
    b.add("QLinearAdd", [x, *b.steps("xs", 0.5), shift, *b.steps("ss", 0.25), *b.steps("as", 1.0, 1)], "a", domain=OWN)
    taken = ["a", "as_scale", "as_zero", b.constant("factor", 3, np.int8), *b.steps("fs", 0.5, 1)]
    b.add("QLinearMul", [*taken, *b.steps("ps", 2.0)], "p", domain=OWN)
    flat = b.add("Flatten", ["p"], "flat")
    w = b.constant("w", np.random.default_rng(5).integers(-7, 8, (128, 6)), np.int8)
    ends = b.steps("ws", [0.5, 1, 0.25, 0.5, 1, 1], [0] * 6)
    b.add("QLinearMatMul", [flat, "ps_scale", "ps_zero", w, *ends, *b.steps("ms", 32.0, -3)], "m")
    v, bias = b.constant("v", [[1, -2, 3, -4, 5, -6]] * 3, np.int8), b.constant("bias", [7, -8, 90], np.int32)
    taken = ["m", "ms_scale", "ms_zero", v, *b.steps("vs", 0.5), bias]
    b.add("QGemm", taken, "y", domain=OWN, transB=1, alpha=0.5)
    converted = convert(b.model(), 9 * images(4, (2, 8, 8)))
    check_exact(converted)
    assert [step.op for step in converted.network.steps] == ["layer", "layer", "linear", "linear"]
    assert set(converted.bounds.values()) == {0} and converted.network.steps[-1].raw


def test_integers_of_fewer_bits() -> None:
    """A type has more bits than are meant, as where Brevitas writes such nodes. Limits say how many."""
    b = Builder()

    def pair(x: str, name: str, scale: float, low: int, high: int, zero: int = 0, kind: Any = np.int8) -> str:
        limits = b.constant(f"{name}_low", low, kind), b.constant(f"{name}_high", high, kind)
        clipped = b.add("Clip", [b.integers(x, f"{name}_q", scale, zero, kind), *limits], f"{name}_c")
        return b.floats(clipped, name, scale, zero, kind)

    x = pair("x", "x_f", 0.5, -8, 7)
    c = b.add("Relu", [b.add("Conv", [x, b.weight("w", STEPS, 1.0)], "c")], "r")
    c = pair(c, "c_f", 2.0, 0, 15, kind=np.uint8)
    pair(b.add("Add", [c, c], "a"), "y", 2.0, 3, 34, 3, np.uint8)
    converted = convert(b.model(), 9 * images(4, (2, 8, 8)))
    check_exact(converted)
    own = converted.network.results
    assert [own[name].bits for name in ("input", "c_node", "a_node")] == [4, 4, 5]
    assert [step.layer.config.weight_bits for step in converted.network.steps if step.op == "layer"] == [3]


def of(build: Callable[[Builder, str], object]) -> Callable[[], onnx.ModelProto]:
    """What ``build`` makes of a quantised image."""

    def made() -> onnx.ModelProto:
        b = Builder()
        build(b, b.pair("x", "x_f", 0.5))
        return b.model()

    return made


def conv(
    result: Mapping[str, Any] = {}, weight: Mapping[str, Any] = {}, **attributes: Any
) -> Callable[[], onnx.ModelProto]:
    """A convolution with other results, weights or attributes than usual."""

    def build(b: Builder, x: str) -> None:
        c = b.add("Conv", [x, b.weight("w", **{"values": STEPS, **weight})], "c", **attributes)
        b.pair(c, "y", **{"scale": 1.0, **result})

    return of(build)


def image(zero: int, kind: Any) -> Callable[[], onnx.ModelProto]:
    def made() -> onnx.ModelProto:
        b = Builder()
        b.pair("x", "y", 0.5, zero, kind)
        return b.model()

    return made


def then(op: str, *, zero: int = 3, second: Sequence[str] = (), **attributes: Any) -> Callable[[], onnx.ModelProto]:
    """An operation on what has a zero point, whose result has the same."""

    def build(b: Builder, x: str) -> None:
        c = b.pair(b.add("Conv", [x, b.weight("w", STEPS[:, :, :1, :1])], "c"), "c_f", 1.0, zero)
        b.weight("v", np.ones((3, 4, 3, 3)))
        b.pair(b.add(op, [c, *second], "d", **attributes), "y", 1.0, zero)

    return of(build)


def another_scale(b: Builder, x: str) -> None:
    b.floats(b.integers(x, "q", 0.5, 3), "y", 0.25, 3)


def zero_of_a_relu(b: Builder, x: str) -> None:
    b.pair(b.add("Relu", [b.add("Conv", [x, b.weight("w", STEPS)], "c")], "r"), "y", 1.0, -120)


def relu6(b: Builder, x: str) -> None:
    b.constants |= {"low": np.float32(0), "high": np.float32(6)}
    b.pair(b.add("Clip", [b.add("Conv", [x, b.weight("w", STEPS)], "c"), "low", "high"], "r"), "y", 0.5)


def integers_in_a_convolution(b: Builder, x: str) -> None:
    b.add("Conv", [b.integers(x, "q", 0.5), b.weight("w", STEPS)], "y")


def float_weight(b: Builder, x: str) -> None:
    b.pair(b.add("Conv", [x, b.constant("w", WEIGHT)], "c"), "y", 1.0)


def float_result(b: Builder, x: str) -> None:
    c = b.add("Conv", [x, b.weight("w", STEPS)], "c")
    b.pair(b.add("Conv", [c, b.weight("v", np.ones((1, 4, 1, 1)))], "d"), "y", 1.0)


def own(op: str, inputs: Sequence[str] = (), **attributes: Any) -> Callable[[], onnx.ModelProto]:
    """One of ONNX Runtime's own operations, of integers."""

    def build(b: Builder, x: str) -> None:
        q = b.integers(x, "q", 0.5)
        constants = [*b.steps("q_of", 0.5), *b.steps("y_of", 1.0)]
        b.add(op, [name or q for name in inputs] or [q, *constants], "y", domain=OWN, **attributes)

    return of(build)


#: Models that are refused, and what the one line says.
REFUSED: Mapping[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "zero_of_weight": (
        conv(weight={"values": STEPS + 128, "zero": 128, "kind": np.uint8}),
        "Conv 'c_node': weight has zero point 128, allowed is 0, of signed weights",
    ),
    "zero_of_weight_of_a_channel": (
        conv(weight={"scale": [1.0] * 4, "zero": [0, 0, -5, 0]}),
        "weight has zero point -5",
    ),
    "lowest_weight": (conv(weight={"values": STEPS * 0 - 128}), "weight reaches a magnitude of 128 steps"),
    "weight_of_16_bits": (
        conv(weight={"values": STEPS * 300, "kind": np.int16}),
        "weight reaches a magnitude of 900 steps, allowed are 127",
    ),
    "weight_of_floats_of_8_bits": (
        conv(result={"kind": onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.FLOAT8E4M3FN)}),
        "y_zero_point has type float8_e4m3fn, allowed are integers",
    ),
    "scale_for_each_channel_of_a_result": (
        conv(result={"scale": [1.0] * 4, "zero": [0] * 4}),
        "QuantizeLinear 'y_q_node': y_scale has shape [4], allowed is one for all channels of a result",
    ),
    "scales_of_another_axis": (conv(weight={"scale": [1.0] * 3, "zero": [0] * 3}), "x_scale has shape [3], which does"),
    "scale_of_zero": (conv(result={"scale": 0.0}), "y_scale 0 is not allowed, allowed is above 0"),
    "scale_of_nan": (conv(result={"scale": np.nan}), "y_scale has a value that is NaN or infinite"),
    "result_of_32_bits": (
        of(lambda b, x: b.add("QuantizeLinear", [x, b.constant("s", 1.0)], "y", output_dtype=onnx.TensorProto.INT32)),
        "y_zero_point has type int32, allowed are types of 2 to 16 bits",
    ),
    "blocks": (
        of(lambda b, x: b.integers(x, "y", np.ones((1, 1, 8, 8)), np.zeros((1, 1, 8, 8)), block_size=2)),
        "QuantizeLinear 'y_node': block_size 2 is not allowed, allowed is 0",
    ),
    "precision": (
        of(lambda b, x: b.integers(x, "y", 1.0, domain=OWN, precision=onnx.TensorProto.FLOAT16)),
        "precision 10 is not allowed, allowed are 0 and 1, FLOAT",
    ),
    "zero_of_image": (
        image(3, np.uint8),
        "zero point 3 of the image is not allowed, allowed are those at an end or in the middle of a type: "
        "ONNX Runtime's quantiser chooses them with its options ActivationSymmetric and",
    ),
    "zero_that_padding_sees": (
        then("Conv", second=["v"], pads=[1] * 4),
        "Conv 'd_node' + QuantizeLinear 'y_q_node' + DequantizeLinear 'y_node': pads what has zero point 3, allowed",
    ),
    "zero_of_16_bits": (
        conv({"zero": 7, "kind": np.uint16}),
        "Conv 'c_node' + QuantizeLinear 'y_q_node' + DequantizeLinear 'y_node': zero point 7 of a result of 16 bits",
    ),
    "weight_of_64_bits": (conv(weight={"kind": np.uint64}), "has type uint64, allowed are integers of up to 32 bits"),
    "zero_of_a_sum_of_fine_steps": (
        of(lambda b, x: b.pair(b.add("Add", [x, x], "a"), "y", 1024.0, 64)),
        "zero point 64 of its result is not allowed, allowed are those at an end",
    ),
    "zero_of_a_relu": (of(zero_of_a_relu), "zero point -120 of what a ReLU gives is not allowed"),
    "relu_of_a_zero": (then("Relu"), "zero point 3 of what a ReLU gives is not allowed"),
    "maximum_of_an_odd_zero": (then("MaxPool", kernel_shape=[2, 2]), "takes what has zero point 3, allowed are those"),
    "limit_within_a_type": (of(relu6), "a limit of 6 is below 63.5, where its format ends"),
    "another_scale": (
        of(another_scale),
        "DequantizeLinear 'y_node': x has scale 0.25 and zero point 3 of int8, its integers are made with scale 0.5",
    ),
    "floats_as_integers": (
        of(lambda b, x: b.floats(x, "y", 0.5)),
        "takes 'x_f', which has no integers, allowed is what QuantizeLinear gives",
    ),
    "integers_as_floats": (
        of(lambda b, x: b.integers(b.integers(x, "q", 0.5), "y", 1.0)),
        "takes integers of scale 0.5 and zero point 0 of int8, allowed are floats",
    ),
    "integers_in_a_convolution": (of(integers_in_a_convolution), "Conv 'y_node': takes integers, allowed is that of"),
    "float_weight": (of(float_weight), "weight is not quantised, allowed is a Quant of it, or a DequantizeLinear"),
    "float_result": (of(float_result), "its result is not quantised, allowed is a Quant or a QuantizeLinear behind it"),
    "integers_within_nothing": (
        of(lambda b, x: b.add("Clip", [b.integers(x, "q", 0.5), b.constant("low", 3, np.int8), "low"], "y")),
        "Clip 'y_node': min 3 and max 3 are not allowed, allowed are limits from -128 to 127",
    ),
    "unknown": (
        own("QLinearSigmoid"),
        "operation QLinearSigmoid is not one of QuantizeLinear, DequantizeLinear, QGemm",
    ),
    "unknown_integers": (
        of(lambda b, x: b.add("ConvInteger", [b.integers(x, "q", 0.5), b.constant("w", STEPS, np.int8)], "y")),
        "operation ConvInteger is not one of Add, ",
    ),
    "product_of_results": (
        own("QLinearMul", ["", "q_of_scale", "q_of_zero", "", "q_of_scale", "q_of_zero", "y_of_scale"]),
        "QLinearMul 'y_node': multiplies two results, allowed is a constant",
    ),
    "channels_last": (own("QLinearGlobalAveragePool", channels_last=1), "channels_last 1 is not allowed, allowed is 0"),
    "parts_of_three": (
        own("QLinearConcat", ["y_of_scale", "y_of_zero", "", "q_of_scale"]),
        "takes 2 inputs behind its own scale, allowed are three of each result",
    ),
    "too_few_inputs": (own("QLinearAdd"), "takes 5 inputs, which QLinearAdd does not allow"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    made, message = REFUSED[name]
    check_refused(lambda: convert(made()), message)


def random_network(seed: int) -> onnx.ModelProto:
    """Operations in random order, with scales that are powers of two, and any zero points."""
    rng, b = np.random.default_rng(seed), Builder()
    drawn: list[tuple[str, tuple[int, int, int]]] = []

    def draw(x: str, shape: tuple[int, int, int], plain: float = 0.6) -> None:
        """Quantise ``x``, perhaps with a zero point at an end or in the middle of its type."""
        signed = bool(rng.integers(2))
        low = -128 if signed else 0
        zero = low + (int(rng.choice([0, 128])) if rng.random() < plain else int(rng.integers(256)))
        name = b.pair(x, f"f{len(drawn)}", 2.0 ** rng.integers(-4, 2), zero, np.int8 if signed else np.uint8)
        drawn.append((name, shape))

    draw("x", (2, 8, 8), plain=1)
    for index in range(int(rng.integers(2, 7))):
        x, (c, h, w) = drawn[int(rng.integers(len(drawn)))] if rng.random() < 0.4 else drawn[-1]
        alike = [name for name, shape in drawn if shape == (c, h, w)]
        op = rng.choice(["Conv", "Conv", "Add", "MaxPool", "AveragePool", "Concat", "Relu", "Clip", "Mul"])
        name, taken, attributes, shape = f"o{index}", [x], {}, (c, h, w)
        if op == "Conv":
            side = 3 if h > 3 and rng.random() < 0.5 else 1
            pad = side // 2 if rng.random() < 0.5 else 0
            shape = int(rng.integers(1, 5)), h + 2 * pad - side + 1, w + 2 * pad - side + 1
            weight = rng.integers(-7, 8, (shape[0], c, side, side))
            taken.append(b.weight(f"w{index}", weight, 2.0 ** rng.integers(-3, 1, shape[0]), [0] * shape[0]))
            attributes = {"pads": [pad] * 4}
        elif op in ("MaxPool", "AveragePool"):
            shape, attributes = (c, h // 2, w // 2), {"kernel_shape": [2, 2], "strides": [2, 2]}
        elif op in ("Add", "Concat"):
            taken.append(str(rng.choice(alike)))
            shape, attributes = ((2 * c, h, w), {"axis": 1}) if op == "Concat" else (shape, {})
        elif op == "Clip":
            taken += [b.constant("low", 0), b.constant(f"high{index}", 2.0 ** rng.integers(1, 9))]
        elif op == "Mul":
            taken.append(b.constant(f"k{index}", rng.choice([-2, -1, 0.5, 1, 4], (c, 1, 1))))
        if min(shape) == 0:
            continue
        y = b.add(op, taken, name, **attributes)
        draw(b.add("Relu", [y], f"{name}_r") if rng.random() < 0.2 else y, shape)
    return b.model(drawn[-1][0])


@thorough
def test_random_networks() -> None:
    """Each is refused for a zero point, or for a limit, or is exact in every step that the source has."""
    done = 0
    for seed in range(80):
        try:
            converted = convert(random_network(seed), 20 * images(3, (2, 8, 8)))
        except UserError as error:
            assert re.search("zero point|a limit of|no steps", str(error)), (seed, error)
            continue
        assert {gap.steps for gap in converted.differences.values()} == {0}, seed
        assert set(converted.bounds.values()) == {0}, seed
        done += 1
    assert done > 30
