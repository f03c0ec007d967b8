"""Run the exact integer model of a layer or a network on frames.

Examples:
    python -m golden.run --output y.npy
    python -m golden.run tiny --input x.npy --output y.npy
    python -m golden.run path/to/layer.npz --input x.npy --output y.npy
    python -m golden.run path/to/network.npz --input x.npy --output y.npy

The input is an integer .npy of one frame [C, H, W] or of several [N, C, H, W].
The output is an .npy of one frame [O, Ho, Wo] or of several [N, O, Ho, Wo], int32 of a layer, int64 of a network.
"""

from __future__ import annotations

from golden.contract.network.network import IntegerNetwork
from golden.layers import DEFAULT, NAMES, activations, layer_path, load_model
from golden.model.run import run_model
from golden.support import cli
from golden.support.arrays import read_array, write_array
from golden.support.options import add_layer
from golden.support.terminal import say


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    model = load_model(options.layer)
    source = options.input or activations(options.layer)
    if source is None:
        kind = "network" if isinstance(model, IntegerNetwork) else "layer"
        raise cli.UserError(f"{kind} {options.layer} has no recorded activations, --input is needed")
    cli.check_outputs([options.output], inputs=[layer_path(options.layer), source])
    x = read_array(source)
    frames = model.check_input(x)
    y = run_model(model, frames)
    write_array(options.output, y if x.ndim == 4 else y[0])
    say(f"{options.layer}: {len(frames)} frames from {source} to {options.output}")
    return 0


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m golden.run", description=__doc__)
    add = parser.add_argument
    add_layer(parser, NAMES, DEFAULT, networks=True)
    add("--input", type=cli.file_path, help="input frames, .npy (default: recorded activations)")
    add("--output", type=cli.file_path, required=True, help="where to write the output frames, .npy")
    return parser


if __name__ == "__main__":
    cli.run(main)
