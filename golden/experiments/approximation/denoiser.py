"""A small network around X-volution(SA) that takes noise out of images. Trained self-attention comes from it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from golden.operators.self_attention import SelfAttention
from golden.operators.xvolution import XVolution

BATCH = 16
LEARNING_RATE = 0.01
#: Standard deviation of the noise, for images from 0 to 1.
NOISE = 0.25


class Denoiser(nn.Module):
    """Images ``[N, I, H, W]`` to these images with less noise.

    Attributes:
        stem: images to the layer's input ``[N, C, H, W]``, which is not negative.
        xvolution: `XVolution` C to C with product ``softmax``.
        head: the layer's output to what is subtracted from the images.
    """

    def __init__(self, image_channels: int, channels: int, heads: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(image_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.xvolution = XVolution(channels, channels, product="softmax", heads=heads)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, image_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.head(self.xvolution(self.stem(x)))

    @property
    def self_attention(self) -> SelfAttention:
        """The attention branch of the layer."""
        assert isinstance(self.xvolution.attention, SelfAttention)
        return self.xvolution.attention


def train(network: Denoiser, images: Tensor, steps: int, advance: Callable[[float], None]) -> None:
    """Train ``network`` in place on noisy ``images``, and leave it in eval mode.

    ``advance(1)`` is called after each step. Batches and noise follow PyTorch's global seed.
    """
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    network.train()
    for _ in range(steps):
        clean = images[torch.randint(len(images), (BATCH,))]
        loss = (network(clean + NOISE * torch.randn_like(clean)) - clean).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        advance(1)
    network.eval()
