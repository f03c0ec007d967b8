"""Options that the commands which take a layer have in common."""

from __future__ import annotations

import argparse

from golden.support.cli import integer


def add_layer(parser: argparse.ArgumentParser, names: tuple[str, ...], default: str) -> None:
    """Add the layer: a file, or one of ``names``."""
    text = f"a layer file, or one of {', '.join(names)} (default: {default})"
    parser.add_argument("layer", nargs="?", default=default, metavar="LAYER", help=text)


def add_folding(parser: argparse.ArgumentParser) -> None:
    """Add ``--simd`` and ``--pe``, which are None where they are not given."""
    parser.add_argument("--simd", type=integer, help="input channels per cycle, a divisor of in_channels")
    parser.add_argument("--pe", type=integer, help="output channels per cycle, a divisor of out_channels")
