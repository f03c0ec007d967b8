"""A network as a QONNX file, which `qonnx` executes to the same integers, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from golden.contract.bounds import accumulator_ranges
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from golden.convert.onnx_writer import DOUBLE, FLOAT, INT64, Given, GraphWriter, Tensor, numbers
from golden.convert.qonnx_layer import accumulators, largest
from golden.convert.qonnx_ops import DOMAIN
from golden.convert.qonnx_rounding import EXACT, Form, Scaled, quantised, quantised_weight, requantised

#: Version of QONNX's operations.
VERSION = 2
#: What goes in, in the file. Its `Quant` gives what steps know as `IMAGE`.
GIVEN = "image"
TEXT = "Integers in floats: the image, and each result with the name of a step, are numbers of steps, not values."


def to_qonnx(network: IntegerNetwork, batch: int = 1) -> onnx.ModelProto:
    """``network`` as a QONNX model.

    Args:
        network: the network.
        batch: images that the model takes at once.

    Returns:
        A model that takes ``image``, integers in float32 ``[batch, C, H, W]``. Each step's result has the step's name.
        Those of linear maps and `argmax` are ``[batch, K]``.

    Raises:
        UserError: where the weights are more than an ONNX file can hold.
    """
    exporter = _Exporter(network, batch)
    for step in network.steps:
        exporter.append(step)
    return exporter.writer.model(exporter.places[network.output], {DOMAIN: VERSION}, TEXT)


class _Exporter:
    """Writes steps.

    Attributes:
        writer: what was written.
        places: each result, by its step.
    """

    def __init__(self, network: IntegerNetwork, batch: int) -> None:
        self._results = network.results
        form = Form(bits=network.image.bits, signed=network.image.signed)
        given = Tensor(GIVEN, (batch, *network.image.shape), FLOAT)
        self.writer = GraphWriter(given)
        self.writer.scope = IMAGE
        self.places = {IMAGE: quantised(self.writer, IMAGE, given, form, "ROUND")}
        self._frames: dict[str, Tensor] = {}
        self._features: dict[str, Tensor] = {}

    def append(self, step: Step) -> None:
        self.writer.scope = step.name
        self.places[step.name] = WRITERS[step.op](self, step)

    def taken(self, step: Step) -> Result:
        """Shape and format of the first result that ``step`` takes."""
        return self._results[step.inputs[0]]

    def frames(self, name: str) -> Tensor:
        """A result as ``[N, C, H, W]``."""
        x = self.places[name]
        if len(x.shape) == 4:
            return x
        if name not in self._frames:
            self._frames[name] = self.writer.reshaped(x, (*x.shape, 1, 1))
        return self._frames[name]

    def features(self, name: str) -> Tensor:
        """A result as ``[N, F]``."""
        x = self.places[name]
        if len(x.shape) == 2:
            return x
        if name not in self._features:
            flat = (x.shape[0], int(np.prod(x.shape[1:])))
            self._features[name] = self.writer.add("Flatten", [x], shape=flat, axis=1)
        return self._features[name]

    def given(self, step: Step) -> Mapping[str, Any]:
        """Result and node are called as a step whose result is of steps that it takes."""
        shape = (self.places[IMAGE].shape[0], *self._results[step.name].shape)
        return {"result": step.name, "node": step.name, "shape": shape}

    def layer(self, step: LayerStep) -> Tensor:
        layer, c = step.layer, step.layer.config
        acc = accumulators(self.writer, step.name, self.frames(step.inputs[0]), layer)
        low, high = accumulator_ranges(layer)
        products = largest((low * layer.multiplier, high * layer.multiplier))
        scaled = Scaled(operands=[acc], multipliers=[layer.multiplier], shift=c.out_shift, largest=products)
        form = Form(bits=c.out_bits, signed=c.out_signed, relu=c.relu, rounding=c.rounding)
        return requantised(self.writer, step.name, scaled, form)

    def add(self, step: Add) -> Tensor:
        sums = sum(m * _most(self._results[name]) for m, name in zip(step.multipliers, step.inputs, strict=True))
        scaled = Scaled(
            operands=[self.frames(name) for name in step.inputs],
            multipliers=[np.array(m) for m in step.multipliers],
            shift=step.shift,
            largest=sums,
        )
        form = Form(bits=step.out_bits, signed=step.out_signed, relu=step.relu, rounding=step.rounding)
        return requantised(self.writer, step.name, scaled, form)

    def avg_pool(self, step: AvgPool) -> Tensor:
        x, taken = self.frames(step.inputs[0]), self.taken(step)
        rows, columns = step.window(taken.height, taken.width)
        most = _most(taken) * rows * columns
        if isinstance(step.kernel, str):
            sums = self._frame_sums(x, most, keepdims=1, node=step.name)
        else:  # an average of ONNX divides in float32, which is not exact
            ones = quantised_weight(self.writer, np.ones((taken.channels, 1, rows, columns)), 2)
            shape = (x.shape[0], *self._results[step.name].shape)
            geometry: dict[str, Any] = {"kernel_shape": [rows, columns], "strides": [step.stride] * 2}
            sums = self.writer.add("Conv", [x, ones], shape=shape, node=step.name, group=taken.channels, **geometry)
        multiplier = np.array(step.multiplier)
        scaled = Scaled(operands=[sums], multipliers=[multiplier], shift=step.shift, largest=most * step.multiplier)
        form = Form(bits=step.out_bits, signed=step.out_signed, rounding=step.rounding)
        return requantised(self.writer, step.name, scaled, form)

    def linear(self, step: Linear) -> Tensor:
        taken, most = self.taken(step), 0
        low, high = step.accumulator_ranges(taken)
        if step.weight.ndim == 4 or taken.shape[1:] == (1, 1):
            x = self.features(step.inputs[0])
        else:
            most = _most(taken) * taken.height * taken.width
            x = self._frame_sums(self.frames(step.inputs[0]), most, keepdims=0)
        kind = FLOAT if max(most, largest((low, high))) < EXACT[FLOAT] else DOUBLE
        matrix = step.weight.reshape(len(step.weight), -1)
        weight = quantised_weight(self.writer, matrix, step.weight_bits)
        inputs: list[Given] = [self.writer.cast(x, kind), self.writer.cast(weight, kind), numbers(step.bias, kind)]
        names: dict[str, Any] = {"result": step.name if step.raw else None, "node": step.name}
        acc = self.writer.add("Gemm", inputs, shape=(x.shape[0], len(matrix)), **names, transB=1)
        if step.multiplier is None or step.out_shift is None:
            return acc
        products = largest((low * step.multiplier, high * step.multiplier))
        scaled = Scaled(operands=[acc], multipliers=[step.multiplier], shift=step.out_shift, largest=products)
        form = Form(bits=step.out_bits, signed=step.out_signed, relu=bool(step.relu), rounding=step.rounding)
        return requantised(self.writer, step.name, scaled, form)

    def max_pool(self, step: MaxPool) -> Tensor:
        geometry: dict[str, Any] = {
            "kernel_shape": [step.kernel] * 2,
            "strides": [step.stride] * 2,
            "pads": [step.pad] * 4,
        }
        return self.writer.add("MaxPool", [self.frames(step.inputs[0])], **self.given(step), **geometry)

    def concat(self, step: Concat) -> Tensor:
        return self.writer.add("Concat", [self.frames(name) for name in step.inputs], **self.given(step), axis=1)

    def upsample(self, step: Upsample) -> Tensor:
        inputs: list[Given] = [self.frames(step.inputs[0]), None, numbers([1, 1, step.factor, step.factor], FLOAT)]
        how: dict[str, Any] = {
            "mode": "nearest",
            "nearest_mode": "floor",
            "coordinate_transformation_mode": "asymmetric",
        }
        return self.writer.add("Resize", inputs, **self.given(step), **how)

    def argmax(self, step: Argmax) -> Tensor:
        x, name = self.features(step.inputs[0]), step.name
        shape = (x.shape[0], 1)
        return self.writer.add("ArgMax", [x], result=name, node=name, shape=shape, type=INT64, axis=1, keepdims=1)

    def _frame_sums(self, x: Tensor, most: int, *, keepdims: int, node: str | None = None) -> Tensor:
        """Each channel's sum over the frame, at most ``most`` in magnitude."""
        kind = FLOAT if most < EXACT[FLOAT] else DOUBLE
        shape = (*x.shape[:2], *[1] * (2 * keepdims))
        inputs: list[Given] = [self.writer.cast(x, kind), numbers([2, 3], INT64)]
        return self.writer.add("ReduceSum", inputs, shape=shape, node=node, keepdims=keepdims)


def _most(x: Result) -> int:
    """The largest magnitude of an element."""
    return max(-x.limits.low, x.limits.high)


#: What writes each op, by its name in network files.
WRITERS: Mapping[str, Callable[[_Exporter, Any], Tensor]] = {
    LayerStep.op: _Exporter.layer,
    Add.op: _Exporter.add,
    MaxPool.op: _Exporter.max_pool,
    AvgPool.op: _Exporter.avg_pool,
    Linear.op: _Exporter.linear,
    Concat.op: _Exporter.concat,
    Upsample.op: _Exporter.upsample,
    Argmax.op: _Exporter.argmax,
}
