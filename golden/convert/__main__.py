"""Convert a network of another framework to a network file, or a network to QONNX."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import network_bytes
from golden.convert.convert import convert
from golden.convert.reading import INSTALL
from golden.convert.report import page, table, verdict
from golden.convert.source import source_file
from golden.layers import NETWORKS, layer_path, load_network
from golden.quantise.calibration import Scales
from golden.support import cli
from golden.support.arrays import read_array
from golden.support.cli import UserError
from golden.support.progress import spinner
from golden.support.tables import show
from golden.support.terminal import say

#: Suffix of network files.
NETWORK = ".npz"
#: Options that say how something is converted.
CONVERTING = ("calibration", "bits", "scales", "clip-weights", "report")

EXAMPLES = """\
examples:
  python -m golden.convert my_package.models:resnet --calibration images.npy --out net.npz
  python -m golden.convert program.pt2 --calibration images.npy --out net.npz --bits 4 --scales po2
  python -m golden.convert network.onnx --calibration images.npy --out net.npz --report report.html
  python -m golden.convert quantised.onnx --out net.npz
  python -m golden.convert net.npz --to onnx --out net.onnx

SOURCE is an ONNX file, of floats, or quantised as QONNX or ONNX Runtime have it, a program of torch.export.save, or
package.module:name of a PyTorch module, or of what returns one. Calibration images are an .npy of floats
[N, C, H, W] as the source takes them. A float network needs them, a quantised one is compared on them.

With --to onnx SOURCE may also be a network file, .npz, or a network by name. What is written is QONNX. Its image and
its results are integers in floats: those of python -m golden.run.
"""


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    own = _is_network(options.source)
    given = layer_path(options.source) if own else source_file(options.source)
    cli.check_outputs([options.out, options.report], inputs=[options.calibration, given])
    if own:
        return _export(options)
    images = None if options.calibration is None else read_array(options.calibration)
    with spinner(f"converting {options.source}"):
        converted = convert(
            options.source, images, bits=options.bits, scales=options.scales, clip_weights=options.clip_weights
        )
    report = None if options.report is None else page(options.source, converted)
    with contextlib.ExitStack() as stack:
        stack.enter_context(cli.replacing(options.out, "wb")).write(WRITTEN[options.to](converted.network))
        if report is not None:
            stack.enter_context(cli.replacing(options.report)).write(report)
    show(table(options.source, converted))
    say(f"{verdict(converted)}; wrote {' and '.join(str(path) for path in _written(options.out, options.report))}")
    return 0


def _is_network(source: str) -> bool:
    return source in NETWORKS or Path(source).suffix.lower() == NETWORK


def _export(options: argparse.Namespace) -> int:
    """Write a network of ours in another format."""
    if options.to != "onnx":
        raise UserError(f"source {options.source} is a network already, allowed with it is --to onnx")
    given = {name: getattr(options, name.replace("-", "_")) for name in CONVERTING}
    for name, value in given.items():
        if value is not None and value is not False:
            option = f"--{name}" if value is True else f"--{name} {value}"
            raise UserError(f"{option} is for what is converted, source {options.source} is a network already")
    network = load_network(options.source)
    with cli.replacing(options.out, "wb") as stream:
        stream.write(_onnx_bytes(network))
    say(f"{options.source}: {len(network.steps)} steps; wrote {options.out}")
    return 0


def _onnx_bytes(network: IntegerNetwork) -> bytes:
    try:
        from golden.convert.export import to_qonnx
    except ModuleNotFoundError as error:
        raise UserError(f"ONNX files need {error.name}, which is not installed: {INSTALL} brings it") from None
    written: bytes = to_qonnx(network).SerializeToString()
    return written


#: What is written, by the names of formats.
WRITTEN: Mapping[str, Callable[[IntegerNetwork], bytes]] = {"npz": network_bytes, "onnx": _onnx_bytes}


def _written(*paths: Path | None) -> list[Path]:
    return [path for path in paths if path is not None]


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m golden.convert", description=__doc__, epilog=EXAMPLES)
    add = parser.add_argument
    add("source", metavar="SOURCE", help="what to convert: a file, .onnx or .pt2, or package.module:name")
    add("--out", type=cli.file_path, required=True, metavar="FILE", help="where to write the network")
    add("--to", choices=WRITTEN, default="npz", help="what to write: a network file, or QONNX (default: npz)")
    add("--calibration", type=cli.file_path, metavar="FILE", help="images of floats [N, C, H, W], .npy")
    bits = "bits of a float network's weights and activations, 2 to 8 (default: 8)"
    add("--bits", type=cli.bounded(int, 2, 8), help=bits)
    scales = "scales of a float network; po2: powers of two (default: float)"
    add("--scales", choices=get_args(Scales), help=scales)
    add("--clip-weights", action="store_true", help="make weights of -128 of a quantised source -127, else refused")
    add("--report", type=cli.file_path, metavar="FILE", help="where to write what came of each step, HTML")
    return parser


if __name__ == "__main__":
    cli.run(main)
