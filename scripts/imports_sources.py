"""What `scripts.imports` converts: files of other tools, and how each is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from golden.quantise.calibration import Scales

#: Where the files are in a checkout.
FOLDER = "tests/golden/convert/fashion_mnist"
#: The data set that all are trained on.
TASK = "fashion_mnist"
#: Beside them: the first test images, and what each file's own tool answers.
ANSWERS = "answers.npz"
RESIDUAL, SEPARABLE = "residual", "separable"
#: What wrote them.
BREVITAS, RUNTIME, PYTORCH = "Brevitas, QONNX", "ONNX Runtime, QDQ", "PyTorch, ONNX"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A network in a file of another tool.

    Attributes:
        network: what is in it, one of `RESIDUAL` and `SEPARABLE`.
        file: its name in `FOLDER`.
        tool: what wrote it, one of `BREVITAS`, `RUNTIME` and `PYTORCH`.
        bits: of weights and activations.
        scales: ``po2`` or ``float``.
        quantised: whether the file itself says how it is quantised.
    """

    network: str
    file: str
    tool: str
    bits: int
    scales: Scales
    quantised: bool = True


def _brevitas(bits: int, scales: Scales) -> Source:
    file = f"{RESIDUAL}_int{bits}_{scales}.onnx"
    return Source(network=RESIDUAL, file=file, tool=BREVITAS, bits=bits, scales=scales)


def _floats(scales: Scales) -> Source:
    file = f"{SEPARABLE}.onnx"
    return Source(network=SEPARABLE, file=file, tool=PYTORCH, bits=8, scales=scales, quantised=False)


QDQ = Source(network=RESIDUAL, file=f"{RESIDUAL}_qdq.onnx", tool=RUNTIME, bits=8, scales="float")
#: By the names of rows, and of the files that they become.
SOURCES: Mapping[str, Source] = {
    "residual_int8_po2": _brevitas(8, "po2"),
    "residual_int8_float": _brevitas(8, "float"),
    "residual_int4_po2": _brevitas(4, "po2"),
    "residual_int4_float": _brevitas(4, "float"),
    "residual_qdq": QDQ,
    "separable_float": _floats("float"),
    "separable_po2": _floats("po2"),
}
