"""Write stimulus and expected output of a layer for any HDL test bench, and a bench that checks itself.

Examples:
    python -m golden.vectors --out build/vectors
    python -m golden.vectors tiny --out vectors --simd 2 --pe 1 --seed 7 --frames 8
    python -m golden.vectors layer.npz --out vectors --input x.npy --frames 1
    python -m golden.vectors --out rtl --name first

Frames come from --input, else from the layer's recorded activations, else from a random
generator. --seed asks for random frames. --frames N takes the first N frames of a file or of
the recordings, or makes N random ones. The first random frame has each element at one of the
two limits of the input format. The second has all elements at the lower limit, the third has
all at the upper limit. Further random frames are uniform over the format.

input.npy and expected.npy hold int32 frames [N, channels, height, width]. input.hex and
expected.hex hold these frames as stream beats for $readmemh, one beat a line. manifest.json
says how to read the four files, and holds the sha256 of each file.

testbench.v streams the vectors through the unit called --name, as hw.build makes it of the same
layer with the same --simd and --pe, and compares every beat. It runs as it is, in the folder:

    iverilog -o testbench testbench.v xvolution.v && ./testbench
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.streams import Payload, hex_file, to_beats
from golden.layers import DEFAULT, NAMES, activations, layer_path, load_layer
from golden.model import integer
from golden.support import cli
from golden.support.arrays import array_bytes, read_array
from golden.support.names import module_name
from golden.support.options import add_folding, add_layer
from golden.support.progress import progress
from golden.support.terminal import say
from golden.testbench import testbench

FORMAT = 1
#: The unit that the bench checks where ``--name`` is not given: as `hw.build` calls it.
DEFAULT_UNIT = "xvolution"
DEFAULT_FRAMES = 4
MAX_RANDOM_FRAMES = 4096
#: Names of the files that are written.
FILES = ("input.npy", "input.hex", "expected.npy", "expected.hex", "testbench.v", "manifest.json")

LAYOUT = (
    "beats are in raster order with the channels innermost: for y, for x, for channel group g",
    "beat of group g holds channel g*lanes + j in element j",
    "element j is bits j*element_bits and up of TDATA, two's complement if signed",
    "TDATA is padded with zeros at the top to whole bytes",
    "a line of a .hex file is one beat, most significant digit first",
    "frames follow each other without a gap; TLAST marks each frame's last beat",
)


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    layer = load_layer(options.layer)
    folding = Folding.choose(layer.config, options.simd, options.pe)
    frames, source = _stimulus(layer, options)
    cli.check_folder(options.out, FILES, inputs=[layer_path(options.layer), _source(options)])
    positions = len(frames) * layer.config.out_height * layer.config.out_width
    with progress(f"{len(frames)} frames", positions) as advance:
        expected = integer.run(layer, frames, advance)
    facts = {"layer": options.layer, "source": source}
    bench = testbench(options.name, layer.config, folding, len(frames))
    cli.write_files(options.out, vector_files(layer, folding, frames, expected, bench, facts))
    say(f"{options.layer}: {len(frames)} frames from {source} to {options.out}")
    return 0


def random_frames(layer: Layer, count: int, seed: int) -> np.ndarray:
    """``count`` frames that visit the limits of the input format, int64 ``[count, C, H, W]``.

    Frame 0 draws each element from the two limits. Frame 1 is all at the lower limit, frame 2
    all at the upper limit. Further frames are uniform over the format.
    """
    c = layer.config
    low, high = c.in_range.low, c.in_range.high
    rng = np.random.default_rng(seed)
    frames = rng.integers(low, high, (count, c.in_channels, c.height, c.width), endpoint=True)
    frames[:1] = rng.choice([low, high], frames[:1].shape)
    frames[1:2] = low
    frames[2:3] = high
    return frames


def vector_files(
    layer: Layer, folding: Folding, frames: np.ndarray, expected: np.ndarray, bench: str, facts: dict[str, Any]
) -> dict[str, bytes]:
    """Contents of every file by name.

    Args:
        layer: the layer.
        folding: channels per beat.
        frames: input frames ``[N, C, H, W]``.
        expected: output frames ``[N, O, Ho, Wo]``.
        bench: text of the test bench.
        facts: entries for the manifest that say where the vectors come from.
    """
    c = layer.config
    files = {"testbench.v": bench.encode()}
    streams: dict[str, Any] = {}
    for name, array, payload in (
        ("input", frames, Payload.of_input(c, folding)),
        ("expected", expected, Payload.of_output(c, folding)),
    ):
        beats = payload.pack(to_beats(array, payload.lanes))
        files[f"{name}.npy"] = array_bytes(array.astype(np.int32))
        files[f"{name}.hex"] = hex_file(beats, 8 * payload.bytes)
        streams[name] = {
            "shape": list(array.shape),
            "lanes": payload.lanes,
            "element_bits": payload.bits,
            "signed": payload.signed,
            "tdata_bits": 8 * payload.bytes,
            "beats": len(beats),
            "beats_per_frame": len(beats) // len(array),
        }
    streams["expected"]["tlast_every"] = streams["expected"]["beats_per_frame"]
    manifest = {
        "format": FORMAT,
        **facts,
        "config": json.loads(c.to_json()),
        "simd": folding.simd,
        "pe": folding.pe,
        "frames": len(frames),
        "layout": LAYOUT,
        "streams": streams,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return files | {"manifest.json": (json.dumps(manifest, indent=2) + "\n").encode()}


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m golden.vectors", description=__doc__)
    count = cli.bounded(int, 1, float("inf"))
    add = parser.add_argument
    add_layer(parser, NAMES, DEFAULT)
    add("--out", type=cli.file_path, required=True, metavar="DIR", help="folder to write to, made if needed")
    add("--input", type=cli.file_path, help="input frames, .npy of integers [C, H, W] or [N, C, H, W]")
    add_folding(parser)
    add(
        "--name",
        type=_name,
        default=DEFAULT_UNIT,
        help=f"of the unit that testbench.v checks, as in hw.build (default: {DEFAULT_UNIT})",
    )
    add("--frames", type=count, metavar="N", help=f"how many frames (default: all; {DEFAULT_FRAMES} random ones)")
    add("--seed", type=cli.bounded(int, 0, 2**32 - 1), help="of random frames (default: 0)")
    return parser


def _name(text: str) -> str:
    try:
        name = module_name(text)
    except cli.UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if {f"{name}.v", f"{name}.json"} & set(FILES):
        raise argparse.ArgumentTypeError(f"name {name!r} is that of a file of the vectors, allowed is any other name")
    return name


def _stimulus(layer: Layer, options: argparse.Namespace) -> tuple[np.ndarray, str]:
    """The frames asked for, ``[N, C, H, W]``, and where they come from in words."""
    if options.input is not None and options.seed is not None:
        raise cli.UserError("--seed is for random frames and --input brings its own, allowed is one of the two")
    path = _source(options)
    if path is None:
        count = DEFAULT_FRAMES if options.frames is None else options.frames
        if count > MAX_RANDOM_FRAMES:
            raise cli.UserError(f"--frames {count} random ones are too many, allowed are 1 to {MAX_RANDOM_FRAMES}")
        seed = options.seed or 0
        return random_frames(layer, count, seed), f"random, seed {seed}"
    frames = layer.check_input(read_array(path))
    if options.frames is not None and options.frames > len(frames):
        raise cli.UserError(f"--frames {options.frames} is more than {path} has, allowed are 1 to {len(frames)}")
    return frames[: options.frames], path.name


def _source(options: argparse.Namespace) -> Path | None:
    """The file that the frames come from; None where they are random."""
    if options.input is not None or options.seed is not None:
        return options.input
    return activations(options.layer)


if __name__ == "__main__":
    cli.run(main)
