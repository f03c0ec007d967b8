"""Show a network: a table of its steps, and a picture of its graph.

Examples:
    python -m golden.show
    python -m golden.show network.npz --picture graph.svg

Each step's row has its result's shape and format (``u8`` is unsigned in 8 bits, ``s16`` signed in 16),
its useful multiply-accumulates, and its weights. The picture has a box for each step, with the shape and
format of its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.layers import DEFAULT, NETWORKS, layer_path, load_network
from golden.support import cli
from golden.support.boxes import Box
from golden.support.drawing import graph_svg
from golden.support.tables import show, table_of
from golden.support.terminal import say

#: Where the picture goes if nothing else is said.
FOLDER = Path("build")
#: Colour of each op's box: with weights, joining, reshaping, and other.
COLOURS: Mapping[str, str] = {
    "layer": "#a6cee3",
    "linear": "#a6cee3",
    "add": "#fdd9b5",
    "concat": "#fdd9b5",
    "max_pool": "#d5ecc2",
    "avg_pool": "#d5ecc2",
    "upsample": "#d5ecc2",
    "argmax": "#eeeeee",
}
IMAGE_COLOUR = "#eeeeee"


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    title, source = Path(options.network).name, layer_path(options.network)
    path = options.picture or FOLDER / f"{Path(title).stem}.svg"
    network = load_network(options.network)
    if options.picture is None:
        cli.check_folder(FOLDER, [path.name], inputs=[source])
    else:
        cli.check_outputs([path], inputs=[source])
    drawn = picture(network)
    if options.picture is None:
        cli.output_directory(FOLDER)
    with cli.replacing(path) as stream:
        stream.write(drawn)
    show(table(title, network))
    say(f"wrote {path}")
    return 0


def table(title: str, network: IntegerNetwork) -> Table:
    """A row for the image and for each step, and one for all together."""
    rows = table_of(
        "step", "op", "takes", "result", "format", "MACs", "weights", title=title, show_footer=True, words=5
    )
    rows.add_row(IMAGE, "", "", *result_cells(network.image), "", "")
    for step in network.steps:
        counts = (f"{n:,}" if n else "" for n in (step.macs, step.weights))
        rows.add_row(step.name, step.op, ", ".join(step.inputs), *result_cells(network.results[step.name]), *counts)
    rows.columns[0].footer = f"{len(network.steps)} steps"
    rows.columns[5].footer = f"{sum(step.macs for step in network.steps):,}"
    rows.columns[6].footer = f"{sum(step.weights for step in network.steps):,}"
    return rows


def picture(network: IntegerNetwork) -> str:
    """The graph as SVG. Raises `UserError` where a package that draws it is not installed."""

    def box(title: str, name: str, colour: str) -> Box:
        return Box(text=f"{title}\n{' '.join(result_cells(network.results[name]))}", colour=colour)

    boxes = {IMAGE: box(IMAGE, IMAGE, IMAGE_COLOUR)}
    boxes |= {step.name: box(f"{step.name}: {step.op}", step.name, COLOURS[step.op]) for step in network.steps}
    edges = [
        (name, step.name, _times(step.inputs.count(name)))
        for step in network.steps
        for name in dict.fromkeys(step.inputs)
    ]
    return graph_svg(boxes, edges)


def result_cells(result: Result) -> tuple[str, str]:
    """Shape and format of ``result`` in short."""
    return "x".join(map(str, result.shape)), f"{'s' if result.signed else 'u'}{result.bits}"


def _times(count: int) -> str:
    """What an arrow says of a result that is taken ``count`` times."""
    return "" if count == 1 else f"{count} times"


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m golden.show", description=__doc__)
    add = parser.add_argument
    text = f"a network file, or one of {', '.join(NETWORKS)} (default: {DEFAULT})"
    add("network", nargs="?", default=DEFAULT, metavar="NETWORK", help=text)
    add("--picture", type=cli.file_path, metavar="FILE", help="where to write the graph, SVG (default: build/NAME.svg)")
    return parser


if __name__ == "__main__":
    cli.run(main)
