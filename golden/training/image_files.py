"""Image files: those of a folder, and the pixels of one. What would be read wrongly is refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, TiffTags

from golden.support.cli import UserError

#: Pillow's modes with 8 bits or fewer per channel, which it turns into RGB as they are meant.
EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"})
#: Pillow's modes whose values are 0 to 65535 in these formats. It clamps them where it turns them into RGB itself.
SIXTEEN_BITS = {
    "PNG": ("I;16", "I;16B", "I"),
    "TIFF": ("I;16", "I;16B", "I;16L"),
    "PPM": ("I",),
    "JPEG2000": ("I;16",),
}
ALLOWED_PIXELS = "allowed are 8 bits a channel, and 16 bits in PNG, TIFF, PGM and JPEG 2000"
#: Tags of a TIFF file: bits of a channel, and whether its 0 is black.
BITS_TAG, ZERO_TAG = 258, 262
ZERO_IS_BLACK = TiffTags.lookup(ZERO_TAG).enum["BlackIsZero"]


def image_suffixes() -> frozenset[str]:
    """The suffixes, in small letters, of all files that Pillow can open."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN)


def image_files(folder: Path) -> list[Path]:
    """The files in ``folder`` and all folders in it that have the name of an image, sorted by name.

    Files and folders whose name begins with a dot are left out: systems put their own there. Links are followed.

    Raises:
        UserError: for a link to a folder that it is in, and a folder that cannot be read.
    """
    known = image_suffixes()
    return [file for file in _files(folder, frozenset()) if file.suffix.lower() in known]


def visible(folder: Path) -> list[Path]:
    """All that is in ``folder``, sorted by name, but what begins with a dot.

    Raises:
        UserError: where the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"folder {folder} cannot be read: {error.strerror}") from None


def _files(folder: Path, around: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in around:
        raise UserError(f"folder {folder} is a link to {real}, which it is in")
    for path in visible(folder):
        if path.is_dir():
            yield from _files(path, around | {real})
        else:
            yield path


def read_square(file: Path, side: int) -> np.ndarray:
    """The pixels of an image file, uint8 ``[3, side, side]``, red, green and blue.

    The image is turned as its camera was held and scaled to ``side`` on its shorter side. Its centre is cut out. Of
    16 bits the upper 8 count.

    Raises:
        UserError: for a file that is no image or damaged, pixels of another kind, pixels that are transparent, and
            several images in one file.
    """
    if file.exists() and not file.is_file():
        raise UserError(f"image {file} is not a plain file")
    try:
        with Image.open(file) as image:
            if complaint := _complaint(image):
                raise UserError(f"image {file} {complaint}")
            upright = _rgb(ImageOps.exif_transpose(image))
            square = ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR)
    except UserError:
        raise
    # Damaged files make Pillow's decoders raise exceptions of every kind.
    except Exception as error:
        raise UserError(f"image {file} cannot be read: {str(error) or type(error).__name__}") from None
    return np.array(square).transpose(2, 0, 1)


def _complaint(image: Image.Image) -> str:
    """Why ``image`` cannot be read exactly; empty where it can be."""
    # Of the pictures in an MPO file, which telephones write, the first is the photograph.
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":
        return f"holds {count} images, allowed is 1"
    deep = _deep(image)
    if image.mode not in EIGHT_BITS and not deep:
        return f"has pixels of mode {image.mode!r}, {ALLOWED_PIXELS}"
    if image.has_transparency_data and (deep or np.asarray(image.convert("RGBA"))[..., 3].min() < 255):
        return "is transparent in places, put a background behind it"
    return ""


def _deep(image: Image.Image) -> bool:
    """Whether ``image`` is grey, from black at 0 to white at 65535."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        if tags.get(BITS_TAG) != (16,) or tags.get(ZERO_TAG) != ZERO_IS_BLACK:
            return False
    return image.mode in SIXTEEN_BITS.get(image.format or "", ())


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        # Nothing of it is transparent, but Pillow warns of palettes that could be.
        return image.convert("RGBA").convert("RGB")
    if image.mode in EIGHT_BITS:
        return image.convert("RGB")
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
