"""Networks that other tools train: the same function whatever they are made of, and files of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from golden.training import load_task
from scripts.imports_files import Session, qdq_bytes, quiet
from scripts.imports_networks import Brevitas, Floats, residual, started, without_norms
from tests.support.tiers import nightly


def seen(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """``network``, whose batch norms and scales follow from ``images``."""
    network.train()
    with torch.no_grad():
        for _ in range(100):
            network(images)
    return network.eval()


def test_norms_in_the_weights_change_nothing() -> None:
    torch.manual_seed(0)
    images = torch.rand(16, 1, 12, 12)
    network = seen(residual(Floats()), images)
    folded = residual(Floats(norms=False))
    folded.load_state_dict(without_norms(network))
    with torch.no_grad():
        gap = (folded.eval()(images) - network(images)).abs().max()
        assert gap < 1e-5 * network(images).abs().max()


@nightly
@pytest.mark.parametrize("po2", [True, False])
def test_brevitas_starts_from_the_floats(po2: bool) -> None:
    """In 8 bits it gives nearly the same scores before it is trained."""
    torch.manual_seed(0)
    images = torch.rand(16, 1, 12, 12)
    floats = seen(residual(Floats()), images)
    with quiet():
        network = seen(started(floats, Brevitas(bits=8, po2=po2)), images)
        scores, wanted = network(images).detach(), floats(images).detach()
    assert 0 < (scores - wanted).abs().max() < 0.1 * wanted.abs().max()


@nightly
def test_onnx_runtime_quantises_what_pytorch_writes() -> None:
    task = load_task("digits", train_images=64, validation_images=20)
    torch.manual_seed(0)
    network = seen(residual(Floats()), task.train.images())
    content = qdq_bytes(network, task)
    operations = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv", "Add"} <= operations and "Relu" not in operations
    images = task.validation.images()
    with torch.no_grad():
        scores, wanted = Session(content)(images).numpy(), network(images).numpy()
    assert 0 < np.abs(scores - wanted).max() < 0.1 * np.abs(wanted).max()
