"""How well pixel-shift attention approximates self-attention over all pixels, how far it sees, and what both cost.

Examples:
    python -m scripts.approximation
    python -m scripts.approximation --product dynamic --heads 4 --shift 2 --stack 2
    python -m scripts.approximation --steps 1000 --out build/longer

A small network with X-volution(SA) learns to take noise out of images: tiles of photographs, and
handwritten digits. Two self-attentions are then approximated on the same activations: the trained
one, and one with random weights. They are approximated by pixel shifts, by a 3x3 convolution, and by
both together. Weights are fitted by least squares to the outputs on half of the images, and scored
on the other half. The error is relative to the spread of the output: that of a constant is 1.

The files written are approximation.csv, receptive_field.csv, growth.csv and approximation.png. Times
are those of one thread. Measure on an idle machine.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.table import Table
from threadpoolctl import threadpool_limits

from golden.experiments.approximation.growth import exponent
from golden.experiments.approximation.images import LARGEST_TILE
from golden.experiments.approximation.study import TIMED_CHANNELS, WEIGHTINGS, Cost, Field, Fit, Plan, Study, study
from golden.support.cli import Parser, bounded, check_folder, file_path, output_directory, run, write_files
from golden.support.progress import progress
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.synth.toolchain import require

#: Names of the files that are written.
FILES = ("approximation.csv", "receptive_field.csv", "growth.csv", "approximation.png")


def main(argv: list[str]) -> int:
    options = vars(_parser().parse_args(argv))
    folder = options.pop("out")
    plan = Plan(**options)
    require("matplotlib")
    check_folder(folder, FILES)
    out = output_directory(folder)
    # Times of one thread mean something, and matrices this small gain nothing from more threads.
    torch.set_num_threads(1)
    with threadpool_limits(1), progress("approximation", plan.amount) as advance:
        found = study(plan, advance)
    contents = (_csv(found.fits), _csv(found.fields), _csv(found.costs), _picture(found))
    write_files(out, dict(zip(FILES, contents, strict=True)))
    for table in (_fit_table(found.fits), _field_table(found.fields), _cost_table(found.costs)):
        show(table)
    say(f"files in {out}: {', '.join(FILES)}")
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m scripts.approximation", description=__doc__)
    add = parser.add_argument
    count = bounded(int, 1, 100_000)
    products = ("hadamard", "inner", "dynamic")
    add("--product", choices=products, default=products[0], help="of the pixel shifts (default: hadamard)")
    add("--heads", type=int, choices=(1, 2, 4, 8), default=2, help="of both attentions (default: 2)")
    add("--channels", type=bounded(int, 1, 32), default=8, help="a multiple of the heads (default: 8)")
    add("--shift", type=bounded(int, 1, 8), default=4, metavar="L", help="largest shift (default: 4)")
    add("--stack", type=bounded(int, 1, 4), default=4, metavar="N", help="highest stack (default: 4)")
    add("--tiles", type=count, default=24, help="of photographs, to fit, and as many to score (default: 24)")
    add("--side", type=bounded(int, 8, LARGEST_TILE), default=24, help="of a tile, in pixels (default: 24)")
    add("--digits", type=count, default=200, help="to fit, and as many to score (default: 200)")
    add("--steps", type=count, default=200, help="of training, for each kind of image (default: 200)")
    add("--largest", type=bounded(int, 8, 128), default=64, help="side of the largest frame timed (default: 64)")
    add("--seed", type=bounded(int, 0, 2**32 - 1), default=0, help="of all that is random (default: 0)")
    add("--out", type=file_path, default=Path("build/approximation"), help="folder (default: build/approximation)")
    return parser


def _csv(rows: Sequence[Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in dataclasses.fields(rows[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    return text.getvalue()


def _table(title: str, caption: str, columns: Sequence[str]) -> Table:
    table = table_of(*columns, title=title, caption=caption, box=box.SIMPLE, collapse_padding=True, pad_edge=False)
    return table


def _shifts(rows: Sequence[Any]) -> list[int]:
    return sorted({row.shift for row in rows if row.shift is not None})


def _fit_table(fits: Sequence[Fit]) -> Table:
    table = _table(
        "relative error of what stands for self-attention: pixel shifts alone / together with a 3x3 convolution",
        "a constant has 1",
        ["self-attention", "convolution alone", "weighting", "stack", *(f"shift {shift}" for shift in _shifts(fits))],
    )
    for layer, own in _by_layer(fits).items():
        first = [layer, f"{own[0].error:.3f}"]
        rows: dict[tuple[int | None, int | None], list[list[str]]] = {}
        for fit in own[1:]:
            cells = rows.setdefault((fit.weighting, fit.stack), [])
            if fit.by == "pixel shifts":
                cells.append([])
            cells[-1].append(f"{fit.error:.3f}")
        for (weighting, stack), pairs in rows.items():
            table.add_row(*first, str(weighting), str(stack), *map(" / ".join, pairs))
            first = ["", ""]
        table.add_section()
    return table


def _by_layer(fits: Sequence[Fit]) -> dict[str, list[Fit]]:
    """The rows of each self-attention layer, by its name. The first row is that of the convolution alone."""
    layers: dict[str, list[Fit]] = {}
    for fit in fits:
        layers.setdefault(f"{fit.images}, {fit.layer}", []).append(fit)
    return layers


def _field_table(fields: Sequence[Field]) -> Table:
    table = _table(
        "pixels that an output pixel depends on (how far away)",
        f"by gradients, in a frame of {fields[0].frame} pixels",
        ["", "weighting", "stack", *(f"shift {shift}" for shift in _shifts(fields))],
    )
    rows: dict[tuple[Any, ...], list[str]] = {}
    for field in fields:
        name = "self-attention" if field.shift is None else "pixel shifts"
        cells = rows.setdefault((name, field.weighting or "", field.stack or ""), [])
        cells.append(f"{field.pixels} ({field.reach})")
    for row, cells in rows.items():
        table.add_row(*map(str, row), *cells)
    return table


def _cost_table(costs: Sequence[Cost]) -> Table:
    sizes = sorted({cost.pixels for cost in costs})
    table = _table(
        f"cost of a frame, {TIMED_CHANNELS} channels",
        "the last column is the power of the number of pixels that a cost grows with",
        ["", *(f"{pixels} pixels" for pixels in sizes), "power"],
    )
    for name in dict.fromkeys(cost.attention for cost in costs):
        own = [cost for cost in costs if cost.attention == name]
        counts, seconds = [cost.multiplications for cost in own], [cost.seconds for cost in own]
        table.add_row(f"{name}: multiplications", *(f"{n:.3g}" for n in counts), f"{exponent(sizes, counts):.2f}")
        table.add_row(f"{name}: ms", *(f"{1e3 * s:.3g}" for s in seconds), f"{exponent(sizes, seconds):.2f}")
    return table


def _picture(found: Study) -> bytes:
    """A PNG with the errors of each layer over stack and shift, the receptive fields, and the times."""
    # Matplotlib takes a second to import. Drawing with Figure needs no window.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9.5), layout="constrained")
    panels = figure.subplots(2, 3)
    for axes, (layer, fits) in zip(panels[:, :2].flat, _by_layer(found.fits).items(), strict=True):
        _draw_errors(axes, layer, fits)
    _draw_fields(panels[0, 2], found.fields)
    _draw_times(panels[1, 2], found.costs)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _draw_errors(axes: Any, layer: str, fits: Sequence[Fit]) -> None:
    axes.axhline(fits[0].error, color="black", linestyle=":", label="3x3 convolution alone")
    for shift, (by, style) in itertools.product(_shifts(fits), (("pixel shifts", "-"), ("both", "--"))):
        line = [fit for fit in fits if (fit.by, fit.shift, fit.weighting) == (by, shift, WEIGHTINGS[-1])]
        label = f"shift {shift}" if by == "pixel shifts" else None
        _plot_stacks(axes, line, [fit.error for fit in line], style, label)
    axes.set(title=f"{layer} self-attention", ylabel=f"relative error, weighting {WEIGHTINGS[-1]}", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    _legend(axes, 3, title="dashed: with the convolution")


def _draw_fields(axes: Any, fields: Sequence[Field]) -> None:
    for shift in _shifts(fields):
        line = [field for field in fields if (field.shift, field.weighting) == (shift, WEIGHTINGS[-1])]
        _plot_stacks(axes, line, [field.pixels for field in line], "-", f"shift {shift}")
    axes.axhline(fields[-1].pixels, color="black", linestyle=":", label="self-attention: all")
    axes.set(title="pixels that an output depends on", ylabel=f"weighting {WEIGHTINGS[-1]}", yscale="log")
    _legend(axes, 3)


def _plot_stacks(axes: Any, rows: Sequence[Any], values: Sequence[float], style: str, label: str | None) -> None:
    axes.plot([row.stack for row in rows], values, style, color=f"C{rows[0].shift}", marker="o", label=label)
    axes.set_xlabel("stack")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _draw_times(axes: Any, costs: Sequence[Cost]) -> None:
    for name in dict.fromkeys(cost.attention for cost in costs):
        own = [cost for cost in costs if cost.attention == name]
        pixels, seconds = [cost.pixels for cost in own], [cost.seconds for cost in own]
        axes.loglog(pixels, seconds, marker="o", label=f"{name}: power {exponent(pixels, seconds):.2f}")
    axes.set(title="time of a frame", xlabel="pixels", ylabel="seconds")
    axes.set_xticks(pixels, map(str, pixels))
    axes.minorticks_off()
    _legend(axes, 1)


def _legend(axes: Any, columns: int, title: str | None = None) -> None:
    """A legend below the panel, where it covers no line."""
    axes.legend(title=title, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns, fontsize=8, frameon=False)


if __name__ == "__main__":
    run(main)
