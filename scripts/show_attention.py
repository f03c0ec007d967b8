"""Draw the kernel that a layer applies at one pixel of a real image: static weights, dynamic ones, and their sum.

The image is one of the held-out digits. It is shown for both products. In the layer `digits`
(hadamard), an attention weight is multiplied by the centre. In the layer `digits_dynamic`, it is
multiplied by the similarity of centre and neighbour. Each block is the window of one input channel.
The weights are those of the integer model, in units of the accumulator.

Examples:
    python -m scripts.show_attention
    python -m scripts.show_attention --image 7 --pixel 2,5
    python -m scripts.show_attention --output 3 --out build/kernel.png
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from golden.layers.digits import LAYER_NAMES, Digits, read_digits
from golden.model.fused import FusedKernel, fused_kernel
from golden.support.cli import Parser, UserError, bounded, file_path, output_directory, replacing, run
from golden.support.terminal import say
from hw.synth.toolchain import require

PARTS = ("static", "dynamic", "total")
TITLES = {"static": "static: 2^n Wc", "dynamic": "dynamic: Wa(x0, xi)", "total": "sum"}


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    require("matplotlib")
    pixel = _pixel(options.pixel)
    networks = {product: read_digits(layer_name=name) for product, name in LAYER_NAMES.items()}
    for digits in networks.values():
        digits.first(options.image + 1)
    kernels = {
        product: fused_kernel(digits.layer, digits.frames[options.image], *pixel)
        for product, digits in networks.items()
    }
    for kernel in kernels.values():
        if options.output is not None and options.output >= len(kernel.static):
            raise UserError(
                f"output {options.output} is not an output channel, allowed are 0 to {len(kernel.static) - 1}"
            )
    output_directory(options.out.parent)
    with replacing(options.out, "wb") as stream:
        _draw(networks, kernels, options.image, pixel, options.output).savefig(stream, format="png", dpi=130)
    for product, kernel in kernels.items():
        output = _output(kernel, options.output)
        share = np.abs(kernel.dynamic[output]).sum() / np.abs(kernel.total[output]).sum()
        say(f"{product}: output channel {output}, dynamic weights are {share:.0%} of the kernel's magnitude")
    say(f"wrote {options.out}")
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m scripts.show_attention", description=__doc__)
    add = parser.add_argument
    add(
        "--image", type=bounded(int, 0, 10**6), default=0, metavar="N", help="number of the held-out image (default: 0)"
    )
    add("--pixel", default="3,3", metavar="ROW,COLUMN", help="output pixel (default: 3,3)")
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


def _pixel(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d{1,4},\d{1,4}", text):
        raise UserError(f"pixel {text!r} is not ROW,COLUMN")
    row, column = text.split(",")
    return int(row), int(column)


def _output(kernel: FusedKernel, wanted: int | None) -> int:
    return int(np.abs(kernel.dynamic).sum(axis=(1, 2)).argmax()) if wanted is None else wanted


def _draw(
    networks: dict[str, Digits],
    kernels: dict[str, FusedKernel],
    image: int,
    pixel: tuple[int, int],
    wanted: int | None,
) -> Any:
    # Matplotlib takes a second to import. Drawing with Figure needs no window.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.4), layout="constrained")
    axes = figure.subplots(len(kernels), 1 + len(PARTS), squeeze=False)
    for row, (product, kernel) in zip(axes, kernels.items(), strict=True):
        digits, output = networks[product], _output(kernel, wanted)
        row[0].imshow(digits.frames[image].mean(axis=0), cmap="gray")
        row[0].plot(pixel[1], pixel[0], "s", markersize=18, markerfacecolor="none", markeredgecolor="tab:red")
        row[0].set_title(f"{digits.layer.config.product}: a {digits.labels[image]}, mean of the channels", fontsize=9)
        limit = max(1, *(int(np.abs(getattr(kernel, part)[output]).max()) for part in PARTS))
        for axis, part in zip(row[1:], PARTS, strict=True):
            mosaic = _mosaic(getattr(kernel, part)[output], kernel)
            shown = axis.imshow(mosaic, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axis.set_title(f"{TITLES[part]}, output channel {output}", fontsize=9)
        figure.colorbar(shown, ax=row[1:], shrink=0.8)
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
    figure.suptitle(f"held-out digit {image}, pixel {pixel[0]},{pixel[1]}: the kernel that is applied there")
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
