"""Real images that come with scikit-learn, as frames ``[N, C, S, S]`` of values from 0 to 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor

#: Photographs are shrunk, so that a small tile shows more than one surface.
SHRINK = 4
#: The largest tile of a shrunk photograph.
LARGEST_TILE = 96


def photograph_tiles(side: int) -> Tensor:
    """Two photographs in colour, a temple and a flower, cut into tiles ``[N, 3, side, side]``."""
    return torch.cat([_tiles(torch.tensor(photograph), side) for photograph in load_sample_images().images])


def digits() -> Tensor:
    """The 1797 handwritten digits, ``[1797, 1, 8, 8]``."""
    return torch.from_numpy(load_digits().images / 16).float()[:, None]


def _tiles(photograph: Tensor, side: int) -> Tensor:
    """Tiles of a photograph ``[H, W, 3]`` in bytes. What is left at its lower and right border is dropped."""
    small = F.avg_pool2d(photograph.permute(2, 0, 1).float() / 255, SHRINK)
    rows = small.unfold(1, side, side).unfold(2, side, side)  # [3, rows, columns, side, side]
    return rows.flatten(1, 2).transpose(0, 1).contiguous()
