"""A cache of what slow tools made (simulators, netlists, placements), for parallel runs and later ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from golden.support.cli import output_directory

#: Environment variable that names the cache's folder, where it is not ``build/cache`` of this repository.
CACHE_VARIABLE = "XVOLUTION_CACHE"
#: Most entries that are kept. The least recently used entries go first.
CAPACITY = 1500


def cache_folder() -> Path:
    """The folder of all entries, created if needed. Raises `UserError` where it is not writable."""
    default = Path(__file__).parents[2] / "build" / "cache"
    return output_directory(os.environ.get(CACHE_VARIABLE) or default).resolve()


def cached(key: Sequence[str], make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled for ``key``.

    A folder appears whole or not at all. Concurrent callers with equal keys wait for the one that
    makes it. Raises `UserError` where the cache is not writable.

    Args:
        key: all that the content of the folder depends on.
        make: fills the empty folder that it is given.
    """
    from filelock import FileLock

    root = cache_folder()
    name = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:24]
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="making-", dir=root) as scratch:
                content = Path(scratch) / name
                content.mkdir()
                make(content)
                content.rename(folder)
        os.utime(folder)
    _evict(root)
    return folder


def _evict(root: Path) -> None:
    ages = []
    for folder in root.glob("[0-9a-f]*"):
        with contextlib.suppress(FileNotFoundError):  # another process may evict at the same time
            if folder.is_dir():
                ages.append((folder.stat().st_mtime, folder))
    for _, folder in sorted(ages)[:-CAPACITY]:
        shutil.rmtree(folder, ignore_errors=True)
