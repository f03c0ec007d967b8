"""Float ONNX files: what they become computes what they do, and everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from golden.convert.build import build
from golden.convert.convert import convert
from golden.convert.onnx_file import read_onnx
from golden.convert.onnx_graph import OnnxSource
from golden.convert.report import rows
from golden.convert.rewrite import rewritten
from golden.support.cli import UserError
from tests.support.conversions import check_equal, check_refused
from tests.support.onnx_models import BIAS, WEIGHT, classifier, images, model, node
from tests.support.tiers import thorough


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_a_classifier(batch: int | str) -> None:
    network = check_equal(OnnxSource(classifier(batch)), images())
    ops = [(step.name, step.op, step.relu, step.ceiling) for step in network.steps]
    assert ops == [
        ("c_node", "layer", True, None),
        ("d_node", "layer", True, 6.0),
        ("a_node", "add", False, None),
        ("m_node", "max_pool", False, None),
        ("f_node", "layer", False, None),
        ("y_node", "linear", False, None),
    ]


def nearest(where: str, how: str, **options: Any) -> tuple[Sequence[onnx.NodeProto], Mapping[str, np.ndarray]]:
    options = {"mode": "nearest", "coordinate_transformation_mode": where, "nearest_mode": how, **options}
    factors = np.array([1, 1, 2, 2], np.float32)
    return [node("Resize", ["x", "", "scales"], **options)], {"scales": factors}


#: Nodes that become steps, with their constants. Each has an attribute or a form that no other has.
HONOURED: Mapping[str, tuple[Sequence[onnx.NodeProto], Mapping[str, np.ndarray]]] = {
    "same_upper": ([node("Conv", ["x", "w"], auto_pad="SAME_UPPER")], {"w": WEIGHT}),
    "valid": ([node("Conv", ["x", "w"], auto_pad="VALID", strides=[2, 2])], {"w": WEIGHT}),
    "sums_of_frames": ([node("ReduceSum", ["x", "axes"])], {"axes": np.array([-2, 3])}),
    "sums_as_features": (
        [node("ReduceSum", ["x", "axes"], "s", keepdims=0), node("Cast", ["s"], "d", to=1), node("Gemm", ["d", "w"])],
        {"axes": np.array([2, 3]), "w": np.array([[1, 2, 3], [-1, 4, 2]], np.float32)},
    ),
    "strided": ([node("Conv", ["x", "w", "b"], strides=[2, 2], pads=[1] * 4)], {"w": WEIGHT, "b": BIAS}),
    "average": ([node("AveragePool", ["x"], kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1)], {}),
    "average_of_all": ([node("AveragePool", ["x"], kernel_shape=[6, 6])], {}),
    "mean": ([node("ReduceMean", ["x"], axes=[-1, -2], keepdims=0)], {}),
    "padded_maximum": ([node("MaxPool", ["x"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)], {}),
    "relu_after_maximum": (
        [
            node("Conv", ["x", "w"], "c", pads=[1] * 4),
            node("MaxPool", ["c"], "m", kernel_shape=[2, 2]),
            node("Relu", ["m"]),
        ],
        {"w": WEIGHT},
    ),
    "relu_of_two_takers": (
        [node("Conv", ["x", "w"], "c"), node("Relu", ["c"], "r"), node("Add", ["c", "r"])],
        {"w": WEIGHT},
    ),
    "limit_after_limit": (
        [
            node("MaxPool", ["x"], "m", kernel_shape=[2, 2]),
            node("Clip", ["m", "zero", "one"], "c"),
            node("Relu", ["c"], "r"),
            node("Clip", ["r", "zero", "half"]),
        ],
        {"zero": np.float32(0), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "identity_of_what_another_took": (
        [
            node("Relu", ["x"], "r"),
            node("Conv", ["r", "w"], "c", pads=[1] * 4),
            node("Identity", ["r"], "i"),
            node("Concat", ["c", "i"], axis=1),
        ],
        {"w": WEIGHT},
    ),
    "arithmetic": (
        [
            node("Sub", ["x", "mean"], "s"),
            node("Div", ["s", "deviation"], "d"),
            node("Sub", ["one", "d"], "e"),
            node("Conv", ["e", "w"], pads=[1] * 4),
        ],
        {
            "mean": np.array([[[0.3]], [[-0.2]]], np.float32),
            "deviation": np.float32(0.5),
            "one": np.float32(1),
            "w": WEIGHT,
        },
    ),
    "joined": ([node("Concat", ["x", "x"], "c", axis=-3), node("Relu", ["c"])], {}),
    "half_pixel": nearest("half_pixel", "round_prefer_floor"),
    "asymmetric": nearest("asymmetric", "floor"),
    "flat": (
        [
            node("Reshape", ["x", "shape"], "f"),
            node("MatMul", ["f", "w"], "g"),
            node("Add", ["g", "b"], "h"),
            node("Relu", ["h"], "r"),
            node("Identity", ["r"]),
        ],
        {
            "shape": np.array([0, -1]),
            "w": np.random.default_rng(3).standard_normal((72, 3)).astype(np.float32),
            "b": np.arange(3, dtype=np.float32),
        },
    ),
    "scaled_features": (
        [
            node("GlobalAveragePool", ["x"], "p"),
            node("Flatten", ["p"], "f"),
            node("Mul", ["f", "scale"], "m"),
            node("Add", ["m", "shift"], "a"),
            node("Gemm", ["a", "w"]),
        ],
        {
            "scale": np.array([2, -3], np.float32),
            "shift": np.array([[0.5, 1]], np.float32),
            "w": np.array([[1, 2, 3], [-1, 4, 2]], np.float32),
        },
    ),
    "computed_weight": (
        [node("Transpose", ["t"], "w", perm=[1, 0, 2, 3]), node("Conv", ["x", "w"])],
        {"t": WEIGHT.transpose(1, 0, 2, 3).copy()},
    ),
    "twice": ([node("Conv", ["x", "w"], "c", pads=[1] * 4), node("Add", ["c", "c"])], {"w": WEIGHT}),
}


@pytest.mark.parametrize("name", HONOURED)
def test_what_is_honoured(name: str) -> None:
    nodes, constants = HONOURED[name]
    check_equal(OnnxSource(model(nodes, constants)), images())


def test_attributes_are_known_by_name() -> None:
    """Not by where they stand."""
    made = classifier()
    for own in made.graph.node:
        kept = list(own.attribute)[::-1]
        del own.attribute[:]
        own.attribute.extend(kept)
    check_equal(OnnxSource(made), images())


def test_flattened_frames_are_refused_where_no_linear_map_takes_them() -> None:
    nodes = [node("Flatten", ["x"], "f"), node("Relu", ["f"])]
    with pytest.raises(UserError, match=r"flattens \[2, 6, 6\], allowed is before a linear map"):
        convert_model(model(nodes, {}))


def convert_model(source: onnx.ModelProto) -> None:
    build(rewritten(OnnxSource(source).graph))


def conv(**attributes: Any) -> Callable[[], onnx.ModelProto]:
    return lambda: model([node("Conv", ["x", "w"], **attributes)], {"w": WEIGHT})


def of(
    op: str, *inputs: str, constants: Mapping[str, np.ndarray] | None = None, **attributes: Any
) -> Callable[[], onnx.ModelProto]:
    return lambda: model([node(op, ["x", *inputs], **attributes)], constants or {})


def kernel(*shape: int, **attributes: Any) -> Callable[[], onnx.ModelProto]:
    return lambda: model([node("Conv", ["x", "w"], **attributes)], {"w": np.ones(shape, np.float32)})


def external() -> onnx.ModelProto:
    made = conv()()
    onnx.external_data_helper.set_external_data(made.graph.initializer[0], "weights.bin")
    made.graph.initializer[0].ClearField("raw_data")
    return made


def short_weight() -> onnx.ModelProto:
    made = conv()()
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-4]
    return made


def two_outputs() -> onnx.ModelProto:
    made = conv()()
    made.graph.output.add().CopyFrom(made.graph.input[0])
    return made


def batch_norm(variance: float = 1.0, **attributes: Any) -> Callable[[], onnx.ModelProto]:
    ones = np.ones(2, np.float32)
    constants = {"scale": ones, "shift": ones, "mean": ones, "var": variance * ones}
    return of("BatchNormalization", *constants, constants=constants, **attributes)


NAN = np.full((4, 2, 3, 3), np.nan, np.float32)
#: Models that are refused, and what the one line says.
REFUSED: Mapping[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "dilation": (conv(dilations=[2, 2]), "Conv 'y_node': dilations [2, 2] is not allowed, allowed is 1"),
    "dilation_of_one_axis": (conv(dilations=[1, 2]), "Conv 'y_node': dilations [1, 2] differs between axes"),
    "stride_of_second_axis": (conv(strides=[1, 2]), "strides [1, 2] differs between axes or sides"),
    "stride": (conv(strides=[3, 3]), "strides 3 is not one of 1, 2"),
    "padding_of_second_axis": (conv(pads=[0, 1, 0, 1]), "pads [0, 1, 0, 1] differs between axes or sides"),
    "asymmetric_padding": (conv(pads=[0, 0, 1, 1]), "pads [0, 0, 1, 1] differs between axes or sides"),
    "same_upper_at_stride_2": (conv(auto_pad="SAME_UPPER", strides=[2, 2]), "pads [0, 0, 1, 1] differs"),
    "padding_of_a_quarter": (kernel(4, 2, 5, 5, pads=[1] * 4), "pads 1 is neither 0 nor 2, half of kernel 5"),
    "padding": (conv(pads=[2] * 4), "pads 2 is neither 0 nor 1, half of kernel 3"),
    "kernel_shape": (conv(kernel_shape=[3, 1]), "kernel_shape [3, 1] is not allowed, allowed is [3, 3]"),
    "even_kernel": (kernel(4, 2, 2, 2), "kernel_shape 2 is not one of 1, 3, 5, 7"),
    "oblong_kernel": (kernel(4, 2, 3, 1), "kernel_shape [3, 1] differs between axes"),
    "kernel_of_3d": (kernel(4, 2, 3, 3, 3), "weight has shape [4, 2, 3, 3, 3]"),
    "groups": (
        lambda: model([node("Conv", ["x", "w"], group=2)], {"w": WEIGHT}, shape=(1, 4, 6, 6)),
        "group 2 is neither 1 nor the number of channels, 4",
    ),
    "depth_multiplier": (kernel(4, 1, 3, 3, group=2), "group 2 makes 4 of 2 channels, allowed is one of each"),
    "channels": (kernel(4, 3, 3, 3), "weight has shape [4, 3, 3, 3], which does not fit 2 channels"),
    "weights_of_nan": (
        lambda: model([node("Conv", ["x", "w"])], {"w": NAN}),
        "Conv 'y_node': weight has a value that is NaN or infinite",
    ),
    "complex_weights": (
        lambda: model([node("Conv", ["x", "w"])], {"w": WEIGHT.astype(np.complex64)}),
        "weight has dtype complex64, allowed are real numbers",
    ),
    "weight_from_the_image": (of("Conv", "x"), "input weight is 'x', which depends on the image"),
    "missing_initialiser": (of("Conv", "nosuch"), "nosuch"),
    "external_data": (external, "initialiser 'w' is in another file"),
    "short_data": (short_weight, "raw_data size (284 bytes) is too small"),
    "batch_norm_in_training": (batch_norm(training_mode=1), "training_mode 1 is not allowed, allowed is 0"),
    "negative_variance": (batch_norm(-2.0), "variance + epsilon is -1.99999 at its least, allowed is above 0"),
    "dynamic_shape": (lambda: model([node("Relu", ["x"])], {}, shape=(1, 2, "h", 6)), "shape [1, 2, 'h', 6]"),
    "no_image": (lambda: model([node("Relu", ["x"])], {}, shape=(1, 2)), "shape [1, 2], allowed is [N, C, H, W]"),
    "doubles": (
        lambda: model([node("Relu", ["x"])], {}, elem=onnx.TensorProto.DOUBLE),
        "input 'x' is of type DOUBLE, allowed is FLOAT",
    ),
    "unknown_op": (of("Sigmoid"), "Sigmoid 'y_node': operation Sigmoid is not one of Add, "),
    "softmax": (of("Softmax"), "operation Softmax is not one of"),
    "unknown_domain": (
        lambda: model([node("Relu", ["x"], domain="my.ops")], {}, domains={"my.ops": 1}),
        "Relu 'y_node': domain 'my.ops' is not known",
    ),
    "old_opset": (lambda: model([node("Relu", ["x"])], {}, opset=12), "opset 12 is not read, allowed are 13 to"),
    "new_opset": (lambda: model([node("Relu", ["x"])], {}, opset=999), "opset 999 is not read"),
    "unknown_attribute": (of("Relu", slope=2.0), "slope"),
    "two_outputs": (two_outputs, "gives 2 results, allowed is one"),
    "constant_output": (
        lambda: model([node("Identity", ["w"])], {"w": WEIGHT}),
        "output 'y' does not depend on the image",
    ),
    "image_itself": (of("Identity"), "gives the image itself"),
    "clip_from_below": (of("Clip", "low", constants={"low": np.float32(-1)}), "min -1.0 is not allowed, allowed is 0"),
    "clip_at_nothing": (of("Clip"), "min None is not allowed, allowed is 0"),
    "clip_at_nan": (
        of("Clip", "low", "high", constants={"low": np.float32(0), "high": np.float32(np.nan)}),
        "max nan is not allowed",
    ),
    "product_of_results": (of("Mul", "x"), "multiplies two results, allowed is a constant"),
    "constant_of_pixels": (
        of("Add", "c", constants={"c": np.ones((6, 6), np.float32)}),
        "constant has shape [6, 6], allowed is one number, or one for each of 2 channels",
    ),
    "division_by_zero": (of("Div", "c", constants={"c": np.float32(0)}), "factor has a value that is NaN or infinite"),
    "broadcast_of_results": (
        lambda: model([node("GlobalAveragePool", ["x"], "g"), node("Add", ["x", "g"])], {}),
        "shapes [2, 6, 6] and [2, 1, 1] are added",
    ),
    "axis": (of("Concat", "x", axis=2), "axis 2 of shape [N, 2, 6, 6] is not allowed, allowed is 1"),
    "padded_average": (
        of("AveragePool", kernel_shape=[3, 3], pads=[1] * 4),
        "pads [1, 1, 1, 1] of an average pool is not allowed",
    ),
    "pool_of_8": (of("MaxPool", kernel_shape=[8, 8]), "kernel_shape 8 is not allowed, allowed are 1 to 7"),
    "pool_of_second_axis": (
        of("AveragePool", kernel_shape=[2, 3]),
        "kernel_shape [2, 3] differs between axes or sides",
    ),
    "pool_stride_of_second_axis": (of("MaxPool", kernel_shape=[2, 2], strides=[2, 1]), "strides [2, 1] differs"),
    "pool_dilation": (of("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "dilations [2, 2] is not allowed"),
    "ceil_mode": (
        of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        "ceil_mode 1 adds windows that are not whole to [6, 6] pixels, allowed is 0",
    ),
    "storage_order": (of("MaxPool", kernel_shape=[2, 2], storage_order=1), "storage_order 1 is not allowed"),
    "sum_of_rows": (of("ReduceSum", "axes", constants={"axes": np.array([2])}), "axes [2] are not allowed"),
    "mean_of_channels": (of("ReduceMean", axes=[1]), "axes [1] are not allowed, allowed are rows and columns"),
    "linear_resize": (lambda: model(*nearest("half_pixel", "floor", mode="linear")), "mode linear is not allowed"),
    "shifted_resize": (lambda: model(*nearest("asymmetric", "ceil")), "takes other pixels than each one 2 times"),
    "factor": (
        of("Resize", "", "scales", constants={"scales": np.array([1, 1, 1.5, 1.5], np.float32)}, mode="nearest"),
        "scales [1.5, 1.5] are not allowed, allowed are 2, 3 and 4",
    ),
    "factor_of_second_axis": (
        of("Resize", "", "scales", constants={"scales": np.array([1, 1, 2, 3], np.float32)}, mode="nearest"),
        "scales [2, 3] differs between axes or sides",
    ),
    "cast": (of("Cast", to=onnx.TensorProto.INT64), "to INT64 is not allowed, allowed are FLOAT and DOUBLE"),
    "whole_numbers": (of("Round"), "rounds to whole numbers (half_even), allowed is before a Quant of scale 1"),
    "cycle": (
        lambda: model([node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"])], {}),
        "is not valid: Nodes in a graph must be topologically sorted",
    ),
    "channels_last": (
        lambda: model(
            [
                node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]),
                node("Relu", ["t"], "r"),
                node("Add", ["t", "r"], "a"),
                node("Transpose", ["a"], perm=[0, 3, 1, 2]),
            ],
            {},
        ),
        "Transpose 't_node': operation Transpose is not one of",
    ),
    "channels_last_operations": (
        lambda: model(
            [node("MaxPool", ["x"], domain="qonnx.custom_op.channels_last", kernel_shape=[2, 2])],
            {},
            domains={"qonnx.custom_op.channels_last": 1},
        ),
        "MaxPool 'y_node': domain 'qonnx.custom_op.channels_last' is not known",
    ),
    "reshape": (
        of("Reshape", "shape", constants={"shape": np.array([1, 4, 18])}),
        "shape [1, 4, 18] of shape [N, 2, 6, 6] is not allowed, allowed is to flatten it, [0, 72]",
    ),
    "linear_map_of_frames": (
        of("MatMul", "w", constants={"w": np.ones((6, 3), np.float32)}),
        "takes frames of shape [2, 6, 6], allowed are features [F] (flatten them first)",
    ),
    "transposed_image": (
        lambda: model(
            [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"], transA=1)], {"w": np.ones((1, 2), np.float32)}
        ),
        "transA 1 is not allowed, allowed is 0",
    ),
    "dropout_in_training": (
        of("Dropout", "ratio", "on", constants={"ratio": np.float32(0.5), "on": np.array(True)}),
        "training_mode True is not allowed",
    ),
    "argmax_of_frames": (of("ArgMax", axis=1), "takes shape [N, 2, 6, 6], allowed are features [N, K]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    made, message = REFUSED[name]
    check_refused(lambda: convert_model(made()), message)


def test_answers_of_an_argmax() -> None:
    """The index that the source gives is the network's output."""
    made = classifier("n")
    made.graph.node.append(helper.make_node("ArgMax", ["y"], ["answer"], axis=1, name="answer"))
    made.graph.output[0].name = "answer"
    made.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    converted = convert_source(made)
    assert converted.network.steps[-1].op == "argmax"
    assert converted.changed is not None and converted.changed < 0.2


def convert_source(made: onnx.ModelProto, **options: Any) -> Any:
    return convert(made, images(40), **options)


@pytest.mark.parametrize(("scales", "most"), [("float", 6), ("po2", 4095 / 1024)])
def test_integers_are_near_the_source(scales: str, most: float) -> None:
    """No result has more than the source's limit of 6. A power of two ends below it, which is said."""
    converted = convert_source(classifier("n"), scales=scales, method="minmax")
    assert 0.49 < converted.differences["input"].steps <= 0.5001
    limited = converted.network.results["d_node"]
    assert limited.scale is not None and limited.limits.high * limited.scale == pytest.approx(most)
    (said,) = [cells[2] for cells in rows(converted) if cells[0] == "d_node"]
    assert said == f"layer, 3x3, depthwise, weights 8 bit, ReLU up to {most:.4g}, in the source 6"
    if scales == "float":
        assert all(gap.part < 0.1 for gap in converted.differences.values())
        assert converted.changed == 0


def write(path: Path, made: onnx.ModelProto) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def test_exported_by_pytorch(tmp_path: Path) -> None:
    """By the exporter that needs no other package; a dynamic batch makes a shape that is computed."""
    torch.manual_seed(0)
    net = exported_net()
    path = tmp_path / "net.onnx"
    options = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    with pytest.warns(DeprecationWarning):
        torch.onnx.export(net, (torch.zeros(2, 2, 6, 6),), path, **options)
    network = check_equal(OnnxSource(read_onnx(path)), images())
    assert [step.op for step in network.steps] == ["layer", "upsample", "avg_pool", "concat", "layer", "linear"]


@thorough
def test_exported_by_pytorch_through_its_new_exporter(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.warns():
        torch.onnx.export(exported_net(), (torch.zeros(1, 2, 6, 6),), path, dynamo=True, external_data=False)
    network = check_equal(OnnxSource(read_onnx(path)), images())
    assert [step.op for step in network.steps] == ["layer", "upsample", "avg_pool", "concat", "layer", "linear"]


class exported_net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.wide = nn.Sequential(nn.Upsample(scale_factor=2), nn.AvgPool2d(2))
        self.pointwise, self.linear = nn.Conv2d(8, 3, 1), nn.Linear(108, 5)
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x)).relu()
        x = torch.cat([x, self.wide(x)], 1)
        return self.linear(self.pointwise(x).view(x.size(0), -1))
