"""Data sets on disk. Each function reads training examples, test examples and the number of classes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch

from golden.support.cli import UserError
from golden.training.task import Examples, first_examples

#: Where Debian's package dataset-fashion-mnist keeps its files.
FASHION_FOLDERS = (Path("/usr/share/datasets/fashion-mnist"), Path("/usr/share/dataset-fashion-mnist"))
FASHION_HINT = (
    "the Debian package dataset-fashion-mnist brings it (apt install dataset-fashion-mnist), "
    "or set data_path to a folder with its four files"
)
#: Test images of the digits. scikit-learn does not say which images are for testing.
DIGITS_TEST = 500
#: The most names of classes in a message.
NAMES_SHOWN = 5

Sets = tuple[Examples, Examples, int]


def digits(path: str | None, side: int) -> Sets:
    """scikit-learn's 1797 handwritten digits, 8x8. The test set is 500 of them, drawn with a fixed seed."""
    from sklearn.datasets import load_digits

    if path is not None:
        raise UserError(f"data_path {path!r} is not for task 'digits', which scikit-learn brings; allowed is none")
    data = load_digits()
    pixels = torch.from_numpy(data.images.astype(np.uint8))[:, None]
    mixed = first_examples(Examples(pixels, torch.from_numpy(data.target).long(), 16), len(pixels), seed=0)
    return mixed.subset(slice(DIGITS_TEST, None)), mixed.subset(slice(DIGITS_TEST)), 10


def fashion_mnist(path: str | None, side: int) -> Sets:
    """Fashion-MNIST from its four IDX files: 60,000 training and 10,000 test images, 28x28, ten classes."""
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
    """CIFAR-10 from its binary version: 50,000 training and 10,000 test images, 32x32, in colour, ten classes.

    The Python version is not read: it is made of pickles, which may hold any program.
    """
    hint = "data_path is the folder with data_batch_1.bin ..., of cifar-10-binary.tar.gz"
    if path is None:
        raise UserError(f"data_path is missing for task 'cifar10', {hint}")
    # A byte for the class, then red, green and blue planes.
    record = 1 + 3 * 32 * 32

    def examples(*names: str) -> Examples:
        arrays = []
        for name in names:
            file = Path(path) / name
            try:
                data = np.fromfile(file, np.uint8)
            except OSError as error:
                raise UserError(f"data set file {file} cannot be read: {error.strerror}; {hint}") from None
            if data.size == 0 or data.size % record or data[::record].max() > 9:
                raise UserError(f"data set file {file} is damaged: no classes and images of {record} bytes together")
            arrays.append(data.reshape(-1, record))
        whole = np.concatenate(arrays)
        pixels = torch.from_numpy(whole[:, 1:].reshape(-1, 3, 32, 32).copy())
        return Examples(pixels, torch.from_numpy(whole[:, 0]).long())

    return examples(*(f"data_batch_{i}.bin" for i in range(1, 6))), examples("test_batch.bin"), 10


def image_folder(path: str | None, side: int) -> Sets:
    """Images of any size in ``train/CLASS`` and ``test/CLASS`` (or ``val/CLASS``, where there is no ``test``).

    See `golden.training.image_files` for which files count, and what becomes of them.
    """
    hint = "data_path is a folder with train/CLASS/*.png (or jpg ...) and test/CLASS or val/CLASS"
    if path is None:
        raise UserError(f"data_path is missing for task 'image_folder', {hint}")
    root = Path(path)
    held_out = "test" if (root / "test").is_dir() else "val"
    for part in ("train", held_out):
        if not (root / part).is_dir():
            raise UserError(f"data set image_folder is not in {path}: no folder {part}; {hint}")
    classes, others = _classes(root / "train"), _classes(root / held_out)
    if classes != others:
        alone = (("train", set(classes) - set(others)), (held_out, set(others) - set(classes)))
        texts = [f"only {root / part} has {_some(names)}" for part, names in alone if names]
        raise UserError(f"classes differ: {'; '.join(texts)}; allowed are the same folders in both")
    return (
        _folder_examples(root / "train", classes, side),
        _folder_examples(root / held_out, classes, side),
        len(classes),
    )


def _classes(folder: Path) -> list[str]:
    """The names of the classes in ``folder``. An image beside them would be in no class."""
    from golden.training.image_files import image_suffixes, visible

    inside = visible(folder)
    classes = [place.name for place in inside if place.is_dir()]
    if not classes:
        raise UserError(f"folder {folder} has no class, allowed is a folder of images for each class")
    for place in inside:
        if not place.is_dir() and place.suffix.lower() in image_suffixes():
            raise UserError(f"image {place} is in no class, allowed are images in {folder}/CLASS")
    return classes


def _some(names: set[str]) -> str:
    """The first few of ``names``, and how many more there are."""
    shown = ", ".join(sorted(names)[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} more"


def _folder_examples(folder: Path, classes: list[str], side: int) -> Examples:
    """All images of the classes, class by class, sorted by name."""
    # Pillow takes a while to import, and only this task needs it.
    from golden.training.image_files import image_files, read_square

    files = []
    for label, name in enumerate(classes):
        own = image_files(folder / name)
        if not own:
            raise UserError(f"class {folder / name} has no image, allowed are files such as .png and .jpg")
        files += [(file, label) for file in own]
    pixels = torch.empty(len(files), 3, side, side, dtype=torch.uint8)
    for i, (file, _) in enumerate(files):
        pixels[i] = torch.from_numpy(read_square(file, side))
    return Examples(pixels, torch.tensor([label for _, label in files]))


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
    # The header: two zeros, the type (8: unsigned bytes), the number of axes, the length of each axis.
    start = 4 * (1 + dimensions)
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != start + math.prod(shape):
        raise UserError(f"data set file {packed} is damaged: no IDX file of bytes with {dimensions} axes")
    return np.frombuffer(bytearray(data), np.uint8, offset=start).reshape(shape)
