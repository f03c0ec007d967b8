"""Image files, written by Pillow as users have them: which pixels they give, and which are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from golden.support.cli import UserError
from golden.training import load_task
from golden.training.image_files import image_files, read_square

SIDE = 8
#: Grey values of 16 bits that 8 bits cannot hold.
DEEP = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 1040 + 7).astype(np.uint16)
COLOURS = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
#: The tag of TIFF files that says so.
WHITE_IS_0 = {262: 0}


def grey(pixels: np.ndarray) -> np.ndarray:
    return np.stack([pixels] * 3)


# --- pixels ---


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "a.jp2"])
def test_of_16_bits_the_upper_8_count(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    Image.fromarray(DEEP).save(file)
    pixels = read_square(file, SIDE)
    assert pixels.dtype == np.uint8 and (pixels == grey(DEEP // 256)).all()


def test_the_larger_byte_may_come_first(tmp_path: Path) -> None:
    image = Image.fromarray(DEEP.astype(">u2"))
    image.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as written:
        assert written.mode == "I;16B"
    assert (read_square(tmp_path / "a.tif", SIDE) == grey(DEEP // 256)).all()


def test_grey_and_colours_of_16_bits_are_alike(tmp_path: Path) -> None:
    """Pillow writes no colours of 16 bits, so this is a PPM file made by hand."""
    file = tmp_path / "a.ppm"
    file.write_bytes(b"P6 8 8 65535\n" + np.repeat(DEEP[:, :, None], 3, axis=2).astype(">u2").tobytes())
    Image.fromarray(DEEP).save(tmp_path / "a.png")
    assert np.abs(read_square(file, SIDE).astype(int) - read_square(tmp_path / "a.png", SIDE)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", "png"), ("RGB", "bmp"), ("P", "png"), ("P", "gif"), ("RGBA", "png"), ("CMYK", "tif")],
)
def test_colours_of_8_bits(tmp_path: Path, mode: str, suffix: str) -> None:
    """64 colours fit into a palette, and Pillow's CMYK loses none."""
    file = tmp_path / f"a.{suffix}"
    image = Image.fromarray(COLOURS)
    (image.quantize(64, dither=Image.Dither.NONE) if mode == "P" else image.convert(mode)).save(file)
    assert (read_square(file, SIDE) == COLOURS.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_of_8_bits(tmp_path: Path, mode: str) -> None:
    values = COLOURS[:, :, 0]
    if mode == "1":
        values = np.where(values > 127, 255, 0).astype(np.uint8)
    Image.fromarray(values).convert(mode).save(tmp_path / "a.png")
    assert (read_square(tmp_path / "a.png", SIDE) == grey(values)).all()


def test_where_0_is_white(tmp_path: Path) -> None:
    """Pillow turns the values over where it writes such a file, and has to do so where it reads one."""
    image = Image.fromarray(COLOURS[:, :, 0])
    image.save(tmp_path / "a.tif", tiffinfo=WHITE_IS_0)
    assert (read_square(tmp_path / "a.tif", SIDE) == grey(COLOURS[:, :, 0])).all()


def test_a_palette_that_could_be_transparent_but_is_not(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS).quantize(64, dither=Image.Dither.NONE)
    image.save(tmp_path / "a.png", transparency=b"\xff" * 64)
    assert (read_square(tmp_path / "a.png", SIDE) == COLOURS.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_picture_is_turned_as_its_camera_was_held(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    image.paste((0, 0, 255), (0, 8, 16, 16))
    exif = Image.Exif()
    # 6: what is shown at the left was at the bottom.
    exif[0x0112] = 6
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    pixels = read_square(tmp_path / f"a.{suffix}", 16)
    assert pixels[2, :, :7].min() > 200 and pixels[0, :, 9:].min() > 200


def test_the_middle_of_the_scaled_image(tmp_path: Path) -> None:
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert (read_square(tmp_path / "a.png", 4) == 200).all()
    assert read_square(tmp_path / "a.png", 2).shape == (3, 2, 2)


# --- what is refused ---


def _floats(file: Path) -> None:
    Image.fromarray(DEEP.astype(np.float32)).save(file)


def _integers(file: Path) -> None:
    Image.fromarray(DEEP.astype(np.int32)).save(file)


def _lab(file: Path) -> None:
    Image.frombytes("LAB", (SIDE, SIDE), COLOURS.tobytes()).save(file)


def _white_is_0(file: Path) -> None:
    Image.fromarray(DEEP).save(file, tiffinfo=WHITE_IS_0)


def _transparent(file: Path) -> None:
    image = Image.fromarray(COLOURS).convert("RGBA")
    image.putpixel((3, 3), (1, 2, 3, 254))
    image.save(file)


def _one_transparent_colour(file: Path) -> None:
    Image.fromarray(COLOURS).quantize(64).save(file, transparency=3)


def _transparent_16_bits(file: Path) -> None:
    Image.fromarray(DEEP).save(file, transparency=7)


def _animated(file: Path) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), (n, 0, 0)) for n in (0, 100, 200)]
    frames[0].save(file, save_all=True, append_images=frames[1:])


def _damaged(file: Path) -> None:
    Image.fromarray(COLOURS).save(file)
    file.write_bytes(file.read_bytes()[:-60])


def _no_image(file: Path) -> None:
    file.write_text("no image")


def _dangling(file: Path) -> None:
    file.symlink_to("nowhere.png")


def _pipe(file: Path) -> None:
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (_floats, "a.tif", "has pixels of mode 'F', allowed are 8 bits"),
        (_integers, "a.tif", "has pixels of mode 'I', allowed are 8 bits"),
        (_lab, "a.tif", "has pixels of mode 'LAB', allowed are 8 bits"),
        (_white_is_0, "a.tif", "has pixels of mode 'I;16', allowed are 8 bits"),
        (_transparent, "a.png", "is transparent in places"),
        (_one_transparent_colour, "a.png", "is transparent in places"),
        (_transparent_16_bits, "a.png", "is transparent in places"),
        (_animated, "a.gif", "holds 3 images, allowed is 1"),
        (_animated, "a.tif", "holds 3 images, allowed is 1"),
        (_damaged, "a.png", "cannot be read: "),
        (_no_image, "a.png", "cannot be read: "),
        (_dangling, "a.png", "cannot be read: "),
        (_pipe, "a.png", "is not a plain file"),
    ],
)
def test_refused_by_name(tmp_path: Path, make: Callable[[Path], None], name: str, message: str) -> None:
    make(tmp_path / name)
    with pytest.raises(UserError) as caught:
        read_square(tmp_path / name, SIDE)
    assert str(caught.value).startswith(f"image {tmp_path / name} {message}")


# --- folders ---


def picture(file: Path, colour: tuple[int, int, int] = (9, 9, 9)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE, SIDE), colour).save(file, format="png")


def test_files_of_a_folder(tmp_path: Path) -> None:
    """In folders in it, in any case, through links; but not what systems hide, and no texts."""
    for name in ("b.png", "a/z.PNG", "a/deep/er/c.Jpg", ".hidden.png", ".cache/d.png", "a/.git/e.png", "other/f.png"):
        picture(tmp_path / "in" / name if not name.startswith("other") else tmp_path / name)
    (tmp_path / "in" / "README.txt").write_text("no image")
    (tmp_path / "in" / "paper.pdf").write_text("no image")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "other" / "f.png")
    found = [str(file.relative_to(tmp_path / "in")) for file in image_files(tmp_path / "in")]
    assert found == ["a/deep/er/c.Jpg", "a/z.PNG", "b.png", "link.png", "linked/f.png"]


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    with pytest.raises(UserError, match=r"in/again is a link to .*in, which it is in"):
        image_files(tmp_path / "in")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of two images each to train on, and one each to test."""
    for part, count in (("train", 2), ("test", 1)):
        for name in ("cat", "dog"):
            for i in range(count):
                picture(tmp_path / "data" / part / name / f"{i}.png", (0, 255 * (name == "dog"), i))
    return tmp_path / "data"


def load(data: Path) -> tuple[int, int]:
    task = load_task("image_folder", path=str(data), image_side=SIDE, validation_images=1)
    for part in (task.train, task.validation, task.test):
        assert [int(label) for label in part.targets] == [int(image[1, 0, 0] > 0) for image in part.pixels]
    return task.outputs, len(task.train) + len(task.validation) + len(task.test)


def test_hidden_folders_are_no_classes(data: Path) -> None:
    picture(data / "train" / ".ipynb_checkpoints" / "0.png")
    picture(data / "train" / "cat" / "._0.png")
    (data / "test" / ".DS_Store").write_bytes(b"\0")
    assert load(data) == (2, 6)


def test_classes_that_differ_are_named(data: Path) -> None:
    for i in range(7):
        picture(data / "train" / f"owl{i}" / "0.png")
    (data / "test" / "dog").rename(data / "test" / "Dog")
    message = r"only .*/train has dog, owl0, owl1, owl2, owl3 and 3 more; only .*/test has Dog; allowed are"
    with pytest.raises(UserError, match=message):
        load(data)


def test_an_empty_class_is_named(data: Path) -> None:
    (data / "test" / "cat" / "0.png").rename(data / "test" / "cat" / ".0.png")
    with pytest.raises(UserError, match=r"class .*/test/cat has no image, allowed are files such as"):
        load(data)


def test_no_class_at_all(data: Path) -> None:
    (data / "train").rename(data / "kept")
    (data / "train" / ".git").mkdir(parents=True)
    with pytest.raises(UserError, match=r"folder .*/train has no class"):
        load(data)


def test_an_image_in_no_class_is_named(data: Path) -> None:
    (data / "train" / "README.txt").write_text("no image")
    assert load(data) == (2, 6)
    picture(data / "train" / "stray.JPG")
    with pytest.raises(UserError, match=r"image .*/train/stray.JPG is in no class"):
        load(data)
