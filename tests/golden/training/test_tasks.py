"""Where images come from, and how they are split."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from golden.support.cli import UserError
from golden.training import Examples, load_task
from golden.training.task import Classification


def rows(examples: Examples) -> set[bytes]:
    return {image.numpy().tobytes() for image in examples.pixels}


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, prefix: str, packed: bool = True) -> None:
    for name, array in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        data = header + array.astype(np.uint8).tobytes()
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for prefix, count in (("train", 40), ("t10k", 20)):
        write_idx(tmp_path, rng.integers(0, 256, (count, 6, 5)), np.arange(count) % 10, prefix, prefix == "train")
    return tmp_path


def test_the_digits_are_split_without_overlap() -> None:
    task = load_task("digits")
    parts = (task.train, task.validation, task.test)
    assert sum(map(len, parts)) == 1797
    assert len(rows(task.train) | rows(task.validation) | rows(task.test)) == len(set().union(*map(rows, parts)))
    assert not rows(task.train) & rows(task.test) and not rows(task.train) & rows(task.validation)
    assert (task.input_shape, task.outputs) == ((1, 8, 8), 10)
    images = task.train.images()
    assert images.dtype == torch.float32 and images.min() == 0 and images.max() == 1


def test_fewer_training_images_are_the_first_of_more_and_validation_stays() -> None:
    few, more = load_task("digits", train_images=50, seed=3), load_task("digits", train_images=200, seed=3)
    assert torch.equal(few.train.pixels, more.train.pixels[:50])
    assert torch.equal(few.validation.pixels, more.validation.pixels)
    other = load_task("digits", train_images=50, seed=4)
    assert not torch.equal(few.train.pixels, other.train.pixels)


def test_labels_stay_with_their_images(fashion: Path) -> None:
    images = np.frombuffer(gzip.decompress((fashion / "train-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    everything = {image.tobytes(): i % 10 for i, image in enumerate(images.reshape(40, 6, 5))}
    task = load_task("fashion_mnist", path=str(fashion), validation_images=10)
    assert (len(task.train), len(task.validation), len(task.test)) == (30, 10, 20)
    for part in (task.train, task.validation):
        for image, label in zip(part.pixels, part.targets, strict=True):
            assert everything[image.numpy().tobytes()] == label


def test_a_missing_data_set_names_what_brings_it(tmp_path: Path) -> None:
    for name, word in (("fashion_mnist", "dataset-fashion-mnist"), ("cifar10", "cifar-10-binary")):
        with pytest.raises(UserError, match=word):
            load_task(name, path=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="train/CLASS"):
        load_task("image_folder", path=str(tmp_path))
    with pytest.raises(UserError, match="data_path is missing"):
        load_task("image_folder")
    with pytest.raises(UserError, match="dataset-fashion-mnist"):
        load_task("fashion_mnist", path=str(tmp_path))


def test_a_damaged_file_is_named(fashion: Path) -> None:
    path = fashion / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for data in (whole[:-20], b"no gzip", gzip.compress(gzip.decompress(whole)[:-1]), gzip.compress(b"")):
        path.write_bytes(data)
        with pytest.raises(UserError, match="train-images-idx3-ubyte"):
            load_task("fashion_mnist", path=str(fashion))
    path.write_bytes(whole)
    write_idx(fashion, np.zeros((20, 6, 5)), np.full(20, 10), "t10k", packed=False)
    with pytest.raises(UserError, match="damaged"):
        load_task("fashion_mnist", path=str(fashion))


def test_cifar10_from_its_binary_version(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (60, 3, 32, 32), np.uint8)
    records = np.concatenate([np.arange(60, dtype=np.uint8)[:, None] % 10, images.reshape(60, -1)], axis=1)
    for i, name in enumerate((*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")):
        records[10 * i : 10 * i + 10].tofile(tmp_path / f"{name}.bin")
    task = load_task("cifar10", path=str(tmp_path), validation_images=5)
    assert (len(task.train), len(task.validation), len(task.test)) == (45, 5, 10)
    assert sorted(task.test.targets.tolist()) == list(range(10))
    assert rows(task.test) == {image.tobytes() for image in images[50:]}
    for image, label in zip(task.train.pixels, task.train.targets, strict=True):
        assert (images[int(label) :: 10] == image.numpy()).all((1, 2, 3)).any()
    (tmp_path / "data_batch_3.bin").write_bytes(b"0" * 3073 * 2)
    with pytest.raises(UserError, match=r"data_batch_3.bin is damaged"):
        load_task("cifar10", path=str(tmp_path))


def test_a_folder_of_images(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 1)):
        for label, colour in enumerate(((255, 0, 0), (0, 255, 0))):
            folder = tmp_path / part / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (40 + i, 20), colour).save(folder / f"{i}.png")
    task = load_task("image_folder", path=str(tmp_path), image_side=16, validation_images=2)
    assert (task.input_shape, task.outputs, len(task.train), len(task.test)) == ((3, 16, 16), 2, 4, 2)
    for part in (task.train, task.validation, task.test):
        for image, label in zip(part.pixels, part.targets, strict=True):
            assert (image[label] == 255).all() and image.sum() == 255 * 256
    (tmp_path / "val" / "class1" / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"class1/0.png cannot be read"):
        load_task("image_folder", path=str(tmp_path))
    (tmp_path / "val" / "class1").rename(tmp_path / "val" / "other")
    with pytest.raises(UserError, match="differ"):
        load_task("image_folder", path=str(tmp_path))


def test_more_images_than_there_are() -> None:
    for options, name in (
        ({"train_images": 1001}, "train_images 1001 is not an integer from 1 to 1000"),
        ({"test_images": 501}, "test_images 501 is not an integer from 1 to 500"),
        ({"validation_images": 1297}, "validation_images 1297 leaves none"),
    ):
        with pytest.raises(UserError, match=name):
            load_task("digits", **options)
    with pytest.raises(UserError, match="not one of 'digits', 'fashion_mnist'"):
        load_task("mnist")


def test_accuracy_counts_the_highest_score() -> None:
    few = Examples(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 2]))
    task = Classification("few", few, few, few, 3)
    outputs = torch.tensor([[3.0, 1, 2], [0, 5, 1], [1, 0, 0]])
    assert task.metric(outputs, few.targets) == pytest.approx(200 / 3)
    assert task.loss(10 * torch.eye(3), few.targets) < task.loss(outputs, few.targets)
