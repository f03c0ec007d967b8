"""Frames as stream beats, and beats as bits: the one place that packs.

A stream carries a frame in raster order with the channels innermost: for y, for x, for
channel group g there is one beat of ``lanes`` channels. Element ``j`` of the beat holds channel
``g*lanes + j``. Element ``j`` starts at bit ``j*bits`` of TDATA. TDATA is padded with zeros to
whole bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig


@dataclass(frozen=True, kw_only=True)
class Payload:
    """Bit layout of one beat: ``lanes`` elements of ``bits`` bits, padded to whole bytes."""

    lanes: int
    bits: int
    signed: bool

    @classmethod
    def of_input(cls, config: LayerConfig, folding: Folding) -> Payload:
        return cls(lanes=folding.simd, bits=config.in_bits, signed=config.in_signed)

    @classmethod
    def of_output(cls, config: LayerConfig, folding: Folding) -> Payload:
        return cls(lanes=folding.pe, bits=config.out_bits, signed=config.out_signed)

    @property
    def bytes(self) -> int:
        """Bytes of TDATA."""
        return -(-self.lanes * self.bits // 8)

    def pack(self, elements: np.ndarray) -> np.ndarray:
        """Integers ``[..., lanes]`` to little-endian bytes ``[..., bytes]`` (uint8)."""
        # Bytes that hold all bits of an element. Those above would only be copied and dropped.
        room = next(size for size in (1, 2, 4, 8) if 8 * size >= self.bits)
        plain = elements.astype(f"<i{room}", order="C")
        if self.bits == 8 * room:
            return plain.view(np.uint8)
        bits = np.unpackbits(plain.view(np.uint8), axis=-1, bitorder="little")
        each = bits.reshape(*elements.shape, 8 * room)[..., : self.bits]
        flat = each.reshape(*elements.shape[:-1], self.lanes * self.bits)
        return np.packbits(flat, axis=-1, bitorder="little")

    def unpack(self, data: np.ndarray) -> np.ndarray:
        """Bytes ``[..., bytes]`` (uint8) back to int64 ``[..., lanes]``."""
        flat = np.unpackbits(data, axis=-1, bitorder="little", count=self.lanes * self.bits)
        bits = flat.reshape(*data.shape[:-1], self.lanes, self.bits).astype(np.int64)
        weights = 2 ** np.arange(self.bits, dtype=np.int64)
        if self.signed:
            weights[-1] = -weights[-1]
        return bits @ weights


def to_beats(frames: np.ndarray, lanes: int) -> np.ndarray:
    """Frames ``[N, C, H, W]`` in stream order: ``[N*H*W*C/lanes, lanes]``."""
    return frames.transpose(0, 2, 3, 1).reshape(-1, lanes)


def from_beats(beats: np.ndarray, channels: int, height: int, width: int) -> np.ndarray:
    """Inverse of `to_beats`: beats ``[..., lanes]`` of whole frames to ``[N, C, H, W]``."""
    return beats.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)


def hex_file(words: np.ndarray, bits: int) -> bytes:
    """Words as text for ``$readmemh``: one word a line, most significant digit first.

    Args:
        words: little-endian bytes ``[n, ceil(bits / 8)]`` (uint8).
        bits: bits of a word, which is as many digits as they take.
    """
    digits = -(-bits // 4)
    text = np.frombuffer(np.ascontiguousarray(words[:, ::-1]).tobytes().hex().encode(), np.uint8)
    lines = np.full((len(words), digits + 1), ord("\n"), np.uint8)
    lines[:, :digits] = text.reshape(len(words), 2 * words.shape[1])[:, 2 * words.shape[1] - digits :]
    return lines.tobytes()
