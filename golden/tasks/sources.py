"""Data sets on disk: training examples, test examples and number of classes of each."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from golden.cli import UserError
from golden.tasks.task import Examples, first_examples

#: Where Debian's package dataset-fashion-mnist keeps its files.
FASHION_FOLDERS = (Path("/usr/share/datasets/fashion-mnist"), Path("/usr/share/dataset-fashion-mnist"))
FASHION_HINT = "the Debian package dataset-fashion-mnist brings it (apt install dataset-fashion-mnist), or data_path"
#: Held-out images of the digits; scikit-learn does not say which are for testing.
DIGITS_TEST = 500

Sets = tuple[Examples, Examples, int]


def digits(path: str | None, side: int) -> Sets:
    """scikit-learn's 1797 handwritten digits, 8x8; 500 drawn at random, always the same, are the test set."""
    from sklearn.datasets import load_digits

    if path is not None:
        raise UserError(f"data_path {path!r} is not for task 'digits', which scikit-learn brings; allowed is none")
    data = load_digits()
    pixels = torch.from_numpy(data.images.astype(np.uint8))[:, None]
    mixed = first_examples(Examples(pixels, torch.from_numpy(data.target).long(), 16), len(pixels), seed=0)
    return mixed.subset(slice(DIGITS_TEST, None)), mixed.subset(slice(DIGITS_TEST)), 10


def fashion_mnist(path: str | None, side: int) -> Sets:
    """Fashion-MNIST, 60,000 and 10,000 images of 28x28 in ten classes, from its four IDX files."""
    folders = FASHION_FOLDERS if path is None else (Path(path),)
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise UserError(f"data set fashion_mnist is not in {folders[0]}; {FASHION_HINT}")

    def examples(prefix: str) -> Examples:
        images = _idx_array(folder / f"{prefix}-images-idx3-ubyte", 3)
        labels = _idx_array(folder / f"{prefix}-labels-idx1-ubyte", 1)
        if len(images) != len(labels) or labels.max(initial=0) > 9:
            raise UserError(f"data set in {folder} is damaged: {len(images)} images, {len(labels)} labels ({prefix})")
        return Examples(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long())

    return examples("train"), examples("t10k"), 10


def cifar10(path: str | None, side: int) -> Sets:
    """CIFAR-10 from the folder with ``cifar-10-batches-py``: 50,000 and 10,000 images of 32x32 in colour.

    Its files are Python pickles; torchvision opens them only where their check sums are the published ones.
    """
    hint = "data_path is the folder with cifar-10-batches-py, unpacked from cifar-10-python.tar.gz"
    if path is None:
        raise UserError(f"data_path is missing for task 'cifar10', {hint}")
    datasets = _torchvision_datasets()
    try:
        parts = [datasets.CIFAR10(path, train=train, download=False) for train in (True, False)]
    except (RuntimeError, OSError):
        raise UserError(f"data set cifar10 is not in {path}, or damaged; {hint}") from None
    train, test = (Examples(_channels_first(part.data), torch.tensor(part.targets)) for part in parts)
    return train, test, 10


def image_folder(path: str | None, side: int) -> Sets:
    """Images of any size in ``train/CLASS`` and ``test/CLASS`` (or ``val/CLASS``) of a folder.

    Each is scaled to ``side`` pixels on its shorter side, and its centre cut out, in colour.
    """
    hint = "data_path is a folder with train/CLASS/*.png (or jpg) and test/CLASS or val/CLASS"
    if path is None:
        raise UserError(f"data_path is missing for task 'image_folder', {hint}")
    root = Path(path)
    held_out = next((root / name for name in ("test", "val") if (root / name).is_dir()), root / "test")
    datasets = _torchvision_datasets()
    try:
        train, test = (datasets.ImageFolder(os.fspath(folder)) for folder in (root / "train", held_out))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"data set image_folder is not in {path}; {hint}") from None
    if train.classes != test.classes:
        raise UserError(f"the classes of {root / 'train'} and {held_out} differ, allowed are the same folders")
    return _folder_examples(train, side), _folder_examples(test, side), len(train.classes)


def _torchvision_datasets() -> ModuleType:
    try:
        from torchvision import datasets
    except ImportError:
        raise UserError("this task needs torchvision, the optional dependencies 'train' bring it") from None
    return datasets


def _folder_examples(folder: object, side: int) -> Examples:
    from torchvision.transforms import v2

    crop = v2.Compose([v2.Resize(side), v2.CenterCrop(side), v2.PILToTensor()])
    samples = folder.samples  # type: ignore[attr-defined]
    pixels = torch.empty(len(samples), 3, side, side, dtype=torch.uint8)
    for i, (file, _) in enumerate(samples):
        try:
            pixels[i] = crop(folder.loader(file))  # type: ignore[attr-defined]
        except OSError as error:
            raise UserError(f"image {file} cannot be read: {error}") from None
    return Examples(pixels, torch.tensor([label for _, label in samples]))


def _channels_first(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def _idx_array(path: Path, dimensions: int) -> np.ndarray:
    """Bytes of an IDX file, as they are or packed by gzip: uint8 with ``dimensions`` axes."""
    packed = path.with_name(path.name + ".gz")
    try:
        data = packed.read_bytes() if packed.exists() else path.read_bytes()
        if packed.exists():
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"data set file {packed} cannot be read: {reason}; {FASHION_HINT}") from None
    # Two zeros, the type (8: unsigned bytes), the number of axes, then their lengths.
    start = 4 * (1 + dimensions)
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != start + math.prod(shape):
        raise UserError(f"data set file {packed} is damaged: no IDX file of bytes with {dimensions} axes")
    return np.frombuffer(bytearray(data), np.uint8, offset=start).reshape(shape)
