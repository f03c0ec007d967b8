"""What is around the checked-in layers ``digits_layer`` and ``digits_dynamic``: what follows the layer, in numpy.

A network is a stem convolution, the X-volution layer with a ReLU, a 2x2 average pool and a linear
head. It tells scikit-learn's 8x8 digits apart. The two networks differ in the layer's product, and
each is trained by itself. The files record the integers that the stem sends into the layer for
every held-out image, and the head. So an accuracy can be computed from the layer's outputs,
whether the integer model or the Verilog computed them.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_file import layer_bytes, read_layer
from golden.contract.scales import dequantise_output
from golden.layers import FOLDER
from golden.support.arrays import Archive, array_bytes, read_array
from golden.support.cli import UserError, write_files

#: The layer's name with each product.
LAYER_NAMES = {"hadamard": "digits_layer", "dynamic": "digits_dynamic"}
#: Arrays of the network file, which are fields of `Digits`, and the kinds of dtype that they may have.
NETWORK_ARRAYS = {"labels": "iu", "head_weight": "f", "head_bias": "f", "float_prediction": "iu"}
#: Classes of the head, and side of the average pool before it.
CLASSES = 10
POOL = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Held-out digits on their way through the network.

    Attributes:
        layer: the quantised X-volution layer.
        frames: what goes into the layer for each image, integers ``[N, C, H, W]``.
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
        """The first ``images`` digits. Raises `UserError` where there are fewer."""
        if images > len(self.labels):
            raise UserError(f"images {images} is too many, there are {len(self.labels)} held-out images")
        parts = {name: getattr(self, name)[:images] for name in ("frames", "labels", "float_prediction")}
        return dataclasses.replace(self, **parts)

    def logits(self, y: np.ndarray) -> np.ndarray:
        """Scores of the ten classes, float64 ``[N, 10]``, from the layer's integer output ``[N, O, Ho, Wo]``."""
        images, channels, height, width = y.shape
        # The memory layout does not depend on y's, so that equal outputs have scores equal to the last bit.
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

    Raises `UserError` for a file that is missing or broken, and for files that do not belong together.
    """
    layer_path, activations_path, network_path = (folder / name for name in file_names(layer_name))
    layer = read_layer(layer_path)
    frames = layer.check_input(read_array(activations_path))
    c = layer.config
    for name, side in (("out_height", c.out_height), ("out_width", c.out_width)):
        if side % POOL:
            raise UserError(f"layer file {layer_path}: {name} {side} is not a multiple of the pool's {POOL}")
    images, features = len(frames), c.out_channels * (c.out_height // POOL) * (c.out_width // POOL)
    shapes = ((images,), (CLASSES, features), (CLASSES,), (images,))
    try:
        network = _read_network(network_path, dict(zip(NETWORK_ARRAYS, shapes, strict=True)))
    except UserError as error:
        raise UserError(f"network file {network_path}: {error}") from None
    return Digits(layer=layer, frames=frames, **network)


def _read_network(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as stream:
            archive = Archive(stream)
            archive.require(tuple(NETWORK_ARRAYS))
            for name, wanted in shapes.items():
                shape, dtype = archive.header(name)
                if shape != wanted:
                    found = f"{name} has shape {list(shape)}"
                    raise UserError(f"{found}, the layer and its activations need {list(wanted)}")
                if dtype.kind not in NETWORK_ARRAYS[name]:
                    kind = "integer" if NETWORK_ARRAYS[name] == "iu" else "floating-point"
                    raise UserError(f"{name} has dtype {dtype}, allowed are {kind} dtypes")
            content = {name: archive.read(name) for name in NETWORK_ARRAYS}
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from None
    for name, array in content.items():
        if not np.isfinite(array).all():
            raise UserError(f"{name} has a value that is NaN or infinite, allowed are finite numbers")
    return content


def write_digits(folder: Path, digits: Digits, layer_name: str = LAYER_NAMES["hadamard"]) -> None:
    """Write the three files of a layer so that `read_digits` returns ``digits``: all of them or none.

    Raises `UserError` where one cannot be written.
    """
    write_files(folder, digits_files(digits, layer_name))


def digits_files(digits: Digits, layer_name: str) -> dict[str, bytes]:
    """Contents of the three files of a layer, by name."""
    frames = digits.layer.check_input(digits.frames)
    activations = array_bytes(frames.astype(np.int8 if digits.layer.config.in_signed else np.uint8))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: getattr(digits, name) for name in NETWORK_ARRAYS})
    contents = (layer_bytes(digits.layer), activations, buffer.getvalue())
    return dict(zip(file_names(layer_name), contents, strict=True))
