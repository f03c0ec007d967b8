"""Run the exact integer model of a layer on frames.

Examples:
    python -m golden.run --output y.npy
    python -m golden.run tiny --input x.npy --output y.npy
    python -m golden.run path/to/layer.npz --input x.npy --output y.npy

The input is an integer .npy of one frame [C, H, W] or of several [N, C, H, W].
The output is an int32 .npy of one frame [O, Ho, Wo] or of several [N, O, Ho, Wo].
"""

from __future__ import annotations

from golden.layers import DEFAULT, NAMES, activations, load_layer
from golden.model import integer
from golden.support import cli
from golden.support.arrays import read_array, write_array
from golden.support.options import add_layer
from golden.support.progress import progress
from golden.support.terminal import say


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    layer = load_layer(options.layer)
    source = options.input or activations(options.layer)
    if source is None:
        raise cli.UserError(f"layer {options.layer} has no recorded activations, --input is needed")
    x = read_array(source)
    frames = layer.check_input(x)
    positions = len(frames) * layer.config.out_height * layer.config.out_width
    with progress(f"{len(frames)} frames", positions) as advance:
        y = integer.run(layer, frames, advance)
    write_array(options.output, y if x.ndim == 4 else y[0])
    say(f"{options.layer}: {len(frames)} frames from {source} to {options.output}")
    return 0


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m golden.run", description=__doc__)
    add = parser.add_argument
    add_layer(parser, NAMES, DEFAULT)
    add("--input", type=cli.file_path, help="input frames, .npy (default: the layer's recorded activations)")
    add("--output", type=cli.file_path, required=True, help="where to write the output frames, .npy")
    return parser


if __name__ == "__main__":
    cli.run(main)
