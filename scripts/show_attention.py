"""Draw the kernel that a layer applies at one pixel of a frame: static weights, dynamic ones, and their sum.

Without a layer, the frame is one of the held-out digits. It is shown for both products. In the layer
`digits_layer` (hadamard), an attention weight is multiplied by the centre. In the layer `digits_dynamic`,
it is multiplied by the similarity of centre and neighbour. Each block is the window of one input channel.
The weights are those of the integer model, in units of the accumulator.

Examples:
    python -m scripts.show_attention
    python -m scripts.show_attention --image 7 --pixel 2,5
    python -m scripts.show_attention --output 3 --out build/kernel.png
    python -m scripts.show_attention path/to/layer.npz --input x.npy --image 2

The input is an integer .npy of one frame [C, H, W] or of several [N, C, H, W].
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from golden.contract.layer import Layer
from golden.layers import FOLDER, LAYERS, activations, layer_path, load_layer
from golden.layers.digits_layer import LAYER_NAMES, file_names, read_digits
from golden.model.fused import FusedKernel, fused_kernel
from golden.support.arrays import read_array
from golden.support.cli import Parser, UserError, bounded, check_outputs, file_path, output_directory, replacing, run
from golden.support.terminal import say
from hw.synth.toolchain import require

PARTS = ("static", "dynamic", "total")
TITLES = {"static": "static: 2^n Wc", "dynamic": "dynamic: Wa(x0, xi)", "total": "sum"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A layer, and a frame that it looks at.

    Attributes:
        layer: the layer.
        frame: its input, integers ``[C, H, W]``.
        shown: what the frame shows, in a few words.
        sources: files that layer and frame come from.
    """

    layer: Layer
    frame: np.ndarray
    shown: str
    sources: Sequence[Path]

    def pixel(self, wanted: tuple[int, int] | None) -> tuple[int, int]:
        """The output pixel ``wanted``, by default that in the middle."""
        c = self.layer.config
        return wanted or ((c.out_height - 1) // 2, (c.out_width - 1) // 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """A row of the picture: the kernel that ``subject`` applies at ``pixel``, and the output channel that is shown."""

    subject: Subject
    pixel: tuple[int, int]
    kernel: FusedKernel
    output: int

    @property
    def share(self) -> float:
        """How much of the magnitude of all weights, static and dynamic, is that of the dynamic ones."""
        static, dynamic = (np.abs(part[self.output]).sum() for part in (self.kernel.static, self.kernel.dynamic))
        return dynamic / max(1, static + dynamic)


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    require("matplotlib")
    wanted = None if options.pixel is None else _pixel(options.pixel)
    subjects = _digits(options) if options.layer is None else [_own(options)]
    rows = [_row(subject, subject.pixel(wanted), options.output) for subject in subjects]
    output_directory(options.out.parent)
    check_outputs([options.out], inputs=[path for subject in subjects for path in subject.sources])
    with replacing(options.out, "wb") as stream:
        _draw(rows).savefig(stream, format="png", dpi=130)
    for row in rows:
        product, share = row.subject.layer.config.product, f"{row.share:.0%}"
        say(f"{product}: output channel {row.output}, dynamic weights are {share} of the magnitude of all weights")
    say(f"wrote {options.out}")
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m scripts.show_attention", description=__doc__)
    add = parser.add_argument
    text = f"a layer file, or one of {', '.join(LAYERS)} (default: digits_layer and digits_dynamic side by side)"
    add("layer", nargs="?", metavar="LAYER", help=text)
    add("--input", type=file_path, help="input frames of LAYER, .npy (default: its recorded activations)")
    add("--image", type=bounded(int, 0, 10**6), default=0, metavar="N", help="number of the frame (default: 0)")
    add("--pixel", metavar="ROW,COLUMN", help="output pixel (default: that in the middle)")
    add(
        "--output",
        type=bounded(int, 0, 4095),
        metavar="CHANNEL",
        help="output channel (default: the one whose dynamic weights are largest)",
    )
    add(
        "--out",
        type=file_path,
        default=Path("build/attention.png"),
        metavar="FILE",
        help="default: build/attention.png",
    )
    return parser


def _digits(options: argparse.Namespace) -> list[Subject]:
    """A held-out digit as the layers of both products see it."""
    if options.input is not None:
        raise UserError(f"--input {options.input} needs LAYER, the layer whose input it is")
    subjects = []
    for name in LAYER_NAMES.values():
        digits = read_digits(layer_name=name)
        digits.first(options.image + 1)
        subjects.append(
            Subject(
                layer=digits.layer,
                frame=digits.frames[options.image],
                shown=f"held-out digit {options.image}, a {digits.labels[options.image]}",
                sources=[FOLDER / file for file in file_names(name)],
            )
        )
    return subjects


def _own(options: argparse.Namespace) -> Subject:
    """A frame of a layer that the user names."""
    layer = load_layer(options.layer)
    source = options.input or activations(options.layer)
    if source is None:
        raise UserError(f"layer {options.layer} has no recorded activations, --input is needed")
    frames = layer.check_input(read_array(source))
    if options.image >= len(frames):
        raise UserError(f"--image {options.image} is not in {source}, allowed are 0 to {len(frames) - 1}")
    paths = (layer_path(options.layer), source)
    return Subject(
        layer=layer,
        frame=frames[options.image],
        shown=f"frame {options.image} of {source.name}",
        sources=[path for path in paths if path is not None],
    )


def _pixel(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d{1,4},\d{1,4}", text):
        raise UserError(f"pixel {text!r} is not ROW,COLUMN")
    row, column = text.split(",")
    return int(row), int(column)


def _row(subject: Subject, pixel: tuple[int, int], output: int | None) -> Row:
    kernel = fused_kernel(subject.layer, subject.frame, *pixel)
    if output is not None and output >= len(kernel.static):
        raise UserError(f"output {output} is not an output channel, allowed are 0 to {len(kernel.static) - 1}")
    largest = int(np.abs(kernel.dynamic).sum(axis=(1, 2)).argmax())
    return Row(subject=subject, pixel=pixel, kernel=kernel, output=largest if output is None else output)


def _draw(rows: Sequence[Row]) -> Any:
    # Matplotlib takes a second to import. Drawing with Figure needs no window.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 0.4 + 3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1 + len(PARTS), squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        c = row.subject.layer.config
        y, x = (c.first_centre + c.stride * place for place in row.pixel)
        line[0].imshow(row.subject.frame.mean(axis=0), cmap="gray")
        # A square around the pixel of the input that is the kernel's centre.
        line[0].plot([x - 0.5, x + 0.5, x + 0.5, x - 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5, y - 0.5], "r")
        line[0].set_title(f"{c.product}: mean of the channels", fontsize=9)
        limit = max(1, *(int(np.abs(getattr(row.kernel, part)[row.output]).max()) for part in PARTS))
        for axis, part in zip(line[1:], PARTS, strict=True):
            mosaic = _mosaic(getattr(row.kernel, part)[row.output], row.kernel)
            shown = axis.imshow(mosaic, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axis.set_title(f"{TITLES[part]}, output channel {row.output}", fontsize=9)
        figure.colorbar(shown, ax=line[1:], shrink=0.8)
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
    place = ",".join(map(str, rows[0].pixel))
    title = f"{rows[0].subject.shown}: the kernel that is applied at output pixel {place}"
    # The name of a file is no formula, and may have bytes that are no text.
    figure.suptitle(title.encode(errors="backslashreplace").decode(), parse_math=False)
    return figure


def _mosaic(weights: np.ndarray, kernel: FusedKernel) -> np.ndarray:
    """The windows of all input channels ``[C, taps]`` side by side, with gaps that are not drawn."""
    reach = max(abs(d) for offset in kernel.offsets for d in offset)
    side = 2 * reach + 1
    columns = math.ceil(math.sqrt(len(weights)))
    rows = math.ceil(len(weights) / columns)
    mosaic = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), np.nan)
    for channel, window in enumerate(weights):
        top, left = (place * (side + 1) for place in divmod(channel, columns))
        for (dy, dx), weight in zip(kernel.offsets, window, strict=True):
            mosaic[top + reach + dy, left + reach + dx] = weight
    return mosaic


if __name__ == "__main__":
    run(main)
