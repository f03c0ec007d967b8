"""The networks around the checked-in layers ``digits`` and ``digits_dynamic``: what follows the layer, in numpy.

A stem convolution, the X-volution layer with a ReLU, a 2x2 average pool and a linear head
tell scikit-learn's 8x8 digits apart; the layer's product is what the two networks differ in,
and each is trained by itself. Recorded are the integers that the stem sends into the
layer for every held-out image, and the head, so that an accuracy can be computed from
whoever computed the layer: the integer model or the Verilog.
"""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.arrays import read_array, write_array
from golden.cli import UserError, replacing
from golden.layer import Layer
from golden.layer_file import read_layer, write_layer
from golden.layers import FOLDER
from golden.scales import dequantise_output

#: The layer's name with each product.
LAYER_NAMES = {"hadamard": "digits", "dynamic": "digits_dynamic"}
#: Arrays of the network file: fields of `Digits`.
NETWORK_ARRAYS = ("labels", "head_weight", "head_bias", "float_prediction")
#: Classes of the head, and side of the average pool before it.
CLASSES = 10
POOL = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Held-out digits on their way through the network.

    Attributes:
        layer: the quantised X-volution layer.
        frames: what goes into it for each image, integers ``[N, C, H, W]``.
        labels: ``[N]``, the digit in each image.
        head_weight: ``[10, O*Ho/2*Wo/2]``, for pooled features in the order channel, row, column.
        head_bias: ``[10]``.
        float_prediction: ``[N]``, what the float network took each image for.
    """

    layer: Layer
    frames: np.ndarray
    labels: np.ndarray
    head_weight: np.ndarray
    head_bias: np.ndarray
    float_prediction: np.ndarray

    def first(self, images: int) -> Digits:
        """The first ``images`` of them. Raises `UserError` where there are fewer."""
        if images > len(self.labels):
            raise UserError(f"images {images} is too many, there are {len(self.labels)} held-out images")
        parts = {name: getattr(self, name)[:images] for name in ("frames", "labels", "float_prediction")}
        return dataclasses.replace(self, **parts)

    def logits(self, y: np.ndarray) -> np.ndarray:
        """Scores of the ten classes, float64 ``[N, 10]``, from the layer's integer output ``[N, O, Ho, Wo]``."""
        images, channels, height, width = y.shape
        # One memory layout whatever y's, so that equal outputs have scores equal to the last bit.
        values = np.ascontiguousarray(dequantise_output(self.layer, y))
        tiles = values.reshape(images, channels, height // POOL, POOL, width // POOL, POOL)
        features = tiles.mean(axis=(3, 5)).reshape(images, -1)
        return features @ self.head_weight.T.astype(np.float64) + self.head_bias

    def correct(self, prediction: np.ndarray) -> int:
        """How many images a ``prediction`` ``[N]`` tells right."""
        return int((prediction == self.labels).sum())


def file_names(layer: str) -> tuple[str, str, str]:
    """Names of the files of layer, activations and network, whichever folder they are in."""
    return f"{layer}.npz", f"{layer}_activations.npy", f"{layer}_network.npz"


def read_digits(folder: Path = FOLDER, layer_name: str = LAYER_NAMES["hadamard"]) -> Digits:
    """The three files of a layer in ``folder``.

    Raises `UserError` for one that is missing or broken, and for files that do not belong together.
    """
    layer_path, activations_path, network_path = (folder / name for name in file_names(layer_name))
    layer = read_layer(layer_path)
    frames = layer.check_input(read_array(activations_path))
    network = _read_network(network_path)
    c = layer.config
    images, features = len(frames), c.out_channels * (c.out_height // POOL) * (c.out_width // POOL)
    shapes = ((images,), (CLASSES, features), (CLASSES,), (images,))
    for name, shape in zip(NETWORK_ARRAYS, shapes, strict=True):
        if network[name].shape != shape:
            raise UserError(
                f"network file {network_path}: {name} has shape {list(network[name].shape)}, "
                f"the layer and its activations need {list(shape)}"
            )
    return Digits(layer=layer, frames=frames, **network)


def _read_network(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = dict(archive)
    except OSError as error:
        raise UserError(f"network file {path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # numpy and zipfile raise a dozen types for bytes that are no archive
        raise UserError(f"network file {path} is not an .npz of plain arrays ({type(error).__name__})") from None
    if set(content) != set(NETWORK_ARRAYS):
        found, allowed = ", ".join(sorted(content)), ", ".join(NETWORK_ARRAYS)
        raise UserError(f"network file {path} has arrays {found}, allowed are {allowed}")
    return content


def write_digits(folder: Path, digits: Digits, layer_name: str = LAYER_NAMES["hadamard"]) -> None:
    """Write the three files of a layer so that `read_digits` returns ``digits``; each file whole or not at all."""
    frames = digits.layer.check_input(digits.frames)
    layer_path, activations_path, network_path = (folder / name for name in file_names(layer_name))
    write_layer(layer_path, digits.layer)
    write_array(activations_path, frames.astype(np.int8 if digits.layer.config.in_signed else np.uint8))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: getattr(digits, name) for name in NETWORK_ARRAYS})
    with replacing(network_path, "wb") as stream:
        stream.write(buffer.getvalue())
