"""Small networks with random weights, to be quantised."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from golden.networks.resnet import resnet
from golden.networks.variants import Variant
from golden.operators.network import Network


def random_network(seed: int, *, block: str = "post", kind: str = "xvolution", **fields: Any) -> Network:
    """A merged ResNet-8 with X-volution, or another ``kind``, in all stages. Its batch norms fit `images`."""
    print("seed", seed)
    torch.manual_seed(seed)
    features = fields.pop("features", "relu")
    variant = Variant(kind=kind, stages=frozenset((1, 2, 3)), features=features, options=fields)
    network = resnet(8, in_channels=1, outputs=10, block=block, variant=variant)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d) and part.affine:
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            part.momentum = None  # statistics are then the mean of all inputs so far
    with torch.no_grad():
        network(images(seed))
    return network.eval().merged()


def images(seed: int, count: int = 16) -> Tensor:
    """Random images ``[count, 1, 8, 8]``, from 0 to 1. Both limits occur."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).square()
    return ((x - x.min()) / (x.max() - x.min()) * 255).round() / 255
