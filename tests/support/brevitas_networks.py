"""Networks of Brevitas, and QONNX files as it writes them.

``python -m tests.support.brevitas_networks FOLDER`` writes those that are checked in.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

#: Files: bits of weights and activations, and whether scales are powers of two.
FILES: Mapping[str, tuple[int, bool]] = {
    "int8_po2.onnx": (8, True),
    "int4_po2.onnx": (4, True),
    "int8_float.onnx": (8, False),
}
#: A file of a network of means that drop bits.
MEANS = "means.onnx"


def write(folder: Path, name: str, *, pairs: bool = False) -> Path:
    """Write one of `FILES`, of a residual network with weights from a seed, or `MEANS`.

    It is QONNX, or has ``pairs`` of ONNX's own nodes that quantise.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Brevitas and PyTorch warn of what they miss
        from brevitas import export

        torch.manual_seed(0)
        network = (_means() if name == MEANS else _network(*FILES[name])).train()
        for _ in range(3):
            network(torch.randn(8, 2, 6, 6))  # its scales follow from what it sees
        path = folder / name
        write_file = export.export_onnx_qcdq if pairs else export.export_qonnx
        write_file(network.eval(), args=torch.randn(1, 2, 6, 6), export_path=str(path), dynamo=False)
    return path


def _network(bits: int, po2: bool) -> nn.Module:
    from brevitas import nn as q
    from brevitas import quant

    if po2:
        signed, unsigned = quant.Int8ActPerTensorFixedPoint, quant.Uint8ActPerTensorFixedPoint
        weights: Any = quant.Int8WeightPerTensorFixedPoint
    else:
        signed, unsigned = quant.Int8ActPerTensorFloat, quant.Uint8ActPerTensorFloat
        weights = quant.Int8WeightPerChannelFloat

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            own: dict[str, Any] = {"weight_quant": weights, "weight_bit_width": bits}
            kept: dict[str, Any] = {"bit_width": bits, "return_quant_tensor": True}
            self.inp = q.QuantIdentity(act_quant=signed, return_quant_tensor=True)
            self.c1 = q.QuantConv2d(2, 4, 3, padding=1, bias_quant=quant.Int32Bias, bias=True, **own)
            self.r1 = q.QuantReLU(act_quant=unsigned, **kept)
            self.c2 = q.QuantConv2d(4, 4, 3, padding=1, groups=4, bias=False, **own)
            self.add = q.QuantEltwiseAdd(input_quant=signed, output_quant=signed, return_quant_tensor=True)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.q2 = q.QuantIdentity(act_quant=signed, return_quant_tensor=True)
            self.l = q.QuantLinear(4, 5, bias=True, weight_quant=weights, bias_quant=quant.Int32Bias)

        def forward(self, x: Tensor) -> Tensor:
            x = self.r1(self.c1(self.inp(x)))
            x = self.add(x, self.c2(x))
            return self.l(torch.flatten(self.q2(self.pool(x)), 1))

    return Residual()


def _means() -> nn.Module:
    """A mean of windows that is rounded down, one of the frame that is rounded."""
    from brevitas import nn as q
    from brevitas import quant

    own: dict[str, Any] = {"weight_quant": quant.Int8WeightPerTensorFixedPoint, "bias": False}
    kept: dict[str, Any] = {"act_quant": quant.Uint8ActPerTensorFixedPoint, "return_quant_tensor": True}
    return nn.Sequential(
        q.QuantIdentity(act_quant=quant.Int8ActPerTensorFixedPoint, return_quant_tensor=True),
        q.QuantConv2d(2, 4, 3, padding=1, **own),
        q.QuantReLU(bit_width=6, **kept),
        q.TruncAvgPool2d(2, trunc_quant=quant.TruncTo8bit, bit_width=6),
        q.QuantConv2d(4, 4, 1, **own),
        q.QuantReLU(bit_width=6, **kept),
        q.TruncAdaptiveAvgPool2d(1, trunc_quant=quant.RoundTo8bit, bit_width=6),
        nn.Flatten(),
        q.QuantLinear(4, 5, **own),
    )


if __name__ == "__main__":
    for file in (*FILES, MEANS):
        print(write(Path(sys.argv[1]), file))
