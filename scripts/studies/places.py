"""Where runs are computed and kept: options that commands have in common."""

from __future__ import annotations

import argparse
import os

from golden.support.cli import bounded
from scripts.studies import store as stores

#: The most workers of this machine; more are a slip.
MOST_WORKERS = 1024
CORES = os.cpu_count() or 1


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--scheduler`` and ``--store``. The first two are None where they are not given."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=bounded(int, 1, MOST_WORKERS),
        metavar="N",
        help=f"processes of this machine (default: {CORES}, one for each core)",
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a cluster, HOST:PORT")
    parser.add_argument("--store", default=stores.DEFAULT, metavar="PATH_OR_URL", help=f"default: {stores.DEFAULT}")
