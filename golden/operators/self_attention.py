"""Self-attention over all pixels, of X-volution(SA) (arXiv 2106.02253): pixel-shift attention stands for it.

The cost of self-attention grows with the square of the number of pixels. It has no merged form and
no hardware. It is the reference, in floats.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.operators.sliding import Centres, check_count
from golden.support.cli import UserError


class SelfAttention(nn.Module):
    """Multi-head self-attention of the pixels of a frame, step 2 of the paper::

        q, k, v = Wq x, Wk x, Wv x
        y_h[p]  = sum_i softmax_i( <q_h[p], k_h[i]> / sqrt(C/heads) ) v_h[i]

    ``i`` runs over all H W pixels. Head ``h`` holds the consecutive channels ``h*C/heads ...`` of
    ``q`` and ``k``, and ``h*O/heads ...`` of ``v`` and ``y``. As in the paper, there is no position
    code, so no pixel knows where it is. As in the paper, there is no projection of ``y``. Heads and
    the root are those of transformers, while the paper writes one head without a root. ``Wq`` could
    hold the root as well.

    Args:
        in_channels: C.
        out_channels: O.
        heads: a divisor of C and of O.
        device: of the parameters.
        dtype: of the parameters.

    Attributes:
        query, key, value: ``Wq``, ``Wk`` (C to C) and ``Wv`` (C to O), `torch.nn.Conv2d` of 1x1 without bias.

    Raises:
        UserError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        heads: int = 1,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        heads = check_count("heads", heads)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if check_count(name, channels) % heads:
                raise UserError(f"heads {heads} does not divide {name} {channels}")
        self.heads = heads
        self.query, self.key, self.value = (
            nn.Conv2d(in_channels, channels, 1, bias=False, device=device, dtype=dtype)
            for channels in (in_channels, in_channels, out_channels)
        )

    def forward(self, x: Tensor, centres: Centres) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``: the outputs for the queries at rows and columns ``centres``."""
        rows, columns = centres
        queries = self.query(x[:, :, rows, columns])
        y = F.scaled_dot_product_attention(
            self._pixels(queries), self._pixels(self.key(x)), self._pixels(self.value(x))
        )
        return y.transpose(2, 3).flatten(1, 2).unflatten(2, queries.shape[2:])

    def _pixels(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` as vectors of each head, ``[N, heads, H W, C/heads]``."""
        # Contiguous, or PyTorch would keep the weights of all pairs of pixels in memory.
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3).contiguous()
