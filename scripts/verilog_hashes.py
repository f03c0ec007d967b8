"""Check that units still become the same Verilog, byte for byte: hashes of their text are kept and compared.

Examples:
    python -m scripts.verilog_hashes                       compare with those that are kept
    python -m scripts.verilog_hashes --unit ecp5_8_bit     one unit
    python -m scripts.verilog_hashes --write               keep those of today

A change of the generator that must not change the gateware is safe if all hashes stay. The units are all
named units that are simulated, frozen and reloadable, and each checked-in layer for each target.

Exit status: 0 if all hashes are the same, 1 if one differs or is missing, 2 for wrong input.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from golden.contract.folding import Folding
from golden.layers import LAYER_FILES, layer_path, load_layer
from golden.support import cli
from golden.support.cli import UserError
from golden.support.progress import progress
from golden.support.terminal import say
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from hw.targets.families import TARGETS
from scripts.checkout import in_checkout
from sim.cases.frozen import CASES, SMALL_CASES
from sim.cases.reloadable import PREFIX, RELOADABLE, any_case

KEPT = "docs/evidence/verilog_hashes.json"
#: Prefix of the name of a checked-in layer's unit.
LAYER = "layer/"


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    if options.unit and options.write:
        raise UserError("--unit leaves hashes out, --write keeps those of all units")
    path = options.kept or in_checkout(KEPT, "--kept FILE")
    names = options.unit or unit_names()
    for name in names:
        if name not in unit_names():
            raise UserError(f"unit {name!r} is none of sim.cases, reloadable ones begin with {PREFIX}")
    if options.write:
        cli.check_outputs([path], inputs=map(layer_path, LAYER_FILES))
    kept = {} if options.write else _read(path)
    with ProcessPoolExecutor(os.cpu_count()) as pool, progress(f"{len(names)} units", len(names)) as advance:
        hashes = {}
        for name, digest in zip(names, pool.map(verilog_hash, names), strict=True):
            hashes[name] = digest
            advance(1)
    if options.write:
        with cli.replacing(path) as stream:
            stream.write(json.dumps(hashes, indent=0) + "\n")
        say(f"wrote {path}")
        return 0
    different = [name for name, digest in hashes.items() if kept.get(name) != digest]
    for name in different:
        say(f"{name}: {'another text' if name in kept else 'no hash is kept'}")
    say(f"{len(hashes) - len(different)} of {len(hashes)} units are the same.")
    return 1 if different else 0


def _read(path: Path) -> Mapping[str, str]:
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"kept {path} cannot be read ({error})") from None
    if not isinstance(kept, dict):
        raise UserError(f"kept {path} is not what --write writes")
    return kept


def unit_names() -> list[str]:
    """The names of all units, as `verilog_hash` takes them."""
    layers = [f"{LAYER}{name}/{target}" for name in LAYER_FILES for target in TARGETS]
    return [*CASES, *SMALL_CASES, *(PREFIX + name for name in RELOADABLE), *layers]


def verilog_hash(name: str) -> str:
    """The sha256 of a unit's Verilog."""
    return hashlib.sha256(generate(_config(name)).verilog.encode()).hexdigest()


def _config(name: str) -> UnitConfig:
    if not name.startswith(LAYER):
        return any_case(name)
    _, layer_name, target = name.split("/")
    layer = load_layer(layer_name)
    return UnitConfig(layer=layer, folding=Folding.choose(layer.config), target=TARGETS[target])


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.verilog_hashes", description=__doc__)
    add = parser.add_argument
    add("--unit", action="append", metavar="NAME", help="only this one; may be given several times")
    add("--write", action="store_true", help="keep the hashes of today")
    add("--kept", type=cli.file_path, metavar="FILE", help="where they are (default: in docs/evidence)")
    return parser


if __name__ == "__main__":
    cli.run(main)
