"""Options that the commands which take a layer have in common."""

from __future__ import annotations

import argparse

from golden.support.cli import integer


def add_layer(parser: argparse.ArgumentParser, names: tuple[str, ...], default: str, *, networks: bool = False) -> None:
    """Add the layer: a file, or one of ``names``. With ``networks`` the file may hold a network instead."""
    kinds = "layer or network" if networks else "layer"
    text = f"a {kinds} file, or one of {', '.join(names)} (default: {default})"
    parser.add_argument("layer", nargs="?", default=default, metavar="LAYER", help=text)


def add_folding(parser: argparse.ArgumentParser) -> None:
    """Add ``--simd`` and ``--pe``, which are None where they are not given."""
    parser.add_argument("--simd", type=integer, help="input channels per cycle, a divisor of in_channels")
    parser.add_argument("--pe", type=integer, help="output channels per cycle, a divisor of out_channels")
