"""Write a layer for software that loads it into a reloadable unit.

Examples:
    python -m hw.weights tiny --manifest rtl/xvolution.json --out rtl
    python -m hw.weights path/to/layer.npz --manifest rtl/xvolution.json --name second

NAME_weights.h is an object in C. NAME_weights.bin has its words one after the other, little-endian:
settings, biases, multipliers and the weight image. The unit is that of the manifest, as
hw.build --reloadable writes it. A layer that does not fit it is refused. docs/reloadable.md says how
the words are loaded, and what each bit of the image is.
"""

from __future__ import annotations

from pathlib import Path

from golden.layers import DEFAULT_LAYER, LAYERS, layer_path, load_layer
from golden.support import cli
from golden.support.names import identifier
from golden.support.options import add_layer
from golden.support.terminal import say
from hw.control.layer_words import binary, c_object, layer_words
from hw.plan.config_file import read_manifest_config
from hw.plan.sizes import Sizes


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    prefix = Path(options.layer).stem if options.name is None else options.name
    name = f"{identifier(prefix, 'C')}_weights"
    unit = read_manifest_config(options.manifest)
    words = layer_words(Sizes(unit), load_layer(options.layer))
    files: dict[str, str | bytes] = {f"{name}.bin": binary(words), f"{name}.h": c_object(unit.name, name, words)}
    cli.check_folder(options.out, files, inputs=[layer_path(options.layer), options.manifest])
    cli.write_files(options.out, files)
    counts = f"{len(words['bias'])} channels, {len(words['image'])} words of weights"
    say(f"{options.layer} for the unit {unit.name}: {counts}")
    say(f"wrote {' and '.join(str(options.out / file) for file in files)}")
    return 0


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m hw.weights", description=__doc__)
    add = parser.add_argument
    add_layer(parser, LAYERS, DEFAULT_LAYER)
    add("--manifest", type=cli.file_path, required=True, help="that of the unit, NAME.json beside its Verilog")
    add("--name", help="of the object and the files, before _weights (default: that of the layer)")
    add("--out", type=cli.file_path, default=Path("build"), metavar="DIR", help="where to write (default: build)")
    return parser


if __name__ == "__main__":
    cli.run(main)
