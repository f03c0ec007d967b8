"""A cache of what slow tools made (simulators, netlists, placements), for parallel runs and later ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs

from golden.support.cli import UserError, output_directory

#: Environment variable that names the cache's folder, where it is not the user's cache folder of this platform.
CACHE_VARIABLE = "XVOLUTION_CACHE"
#: Most entries that are kept. The least recently used entries go first.
CAPACITY = 1500
#: Names of the caches that programs in WebAssembly keep in the user's cache folder.
_TOOLS = ("wasmtime", "YoWASP")


def cache_folder() -> Path:
    """The folder of all entries, created if needed.

    It is what `CACHE_VARIABLE` names, else the user's cache folder. Where that cannot be written, it is a private
    folder among the temporary files. This is said once, and set in `CACHE_VARIABLE` for all processes of this run.

    Raises `UserError` where no folder can be written.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return _told(Path(chosen))
    usual = platformdirs.user_cache_path("xvolution", appauthor=False)
    try:
        return output_directory(usual).resolve()
    except UserError:
        folder = _private()
    os.environ[CACHE_VARIABLE] = str(folder)
    print(f"note: cache {usual} cannot be written, {folder} is used; {CACHE_VARIABLE} names another", file=sys.stderr)
    return folder


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


def tool_environment() -> dict[str, str]:
    """The environment for programs in WebAssembly, which keep what they compile in the user's cache folder.

    Where they cannot write there, they are given a folder of this cache.
    """
    environment = dict(os.environ)
    if not all(_takes_files(platformdirs.user_cache_path(tool, appauthor=False)) for tool in _TOOLS):
        folder = cache_folder() / "tools"
        environment["XDG_CACHE_HOME"] = str(folder)
        environment.setdefault("YOWASP_CACHE_DIR", str(folder / "YoWASP"))
    return environment


def _told(folder: Path) -> Path:
    try:
        return output_directory(folder).resolve()
    except UserError as error:
        raise UserError(f"{error} ({CACHE_VARIABLE} names it)") from None


def _private() -> Path:
    """A folder among the temporary files that nobody else can write to, or read."""
    folder = Path(tempfile.gettempdir()).resolve() / f"xvolution-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Where all users share one folder, anyone may have made this name first.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UserError(f"cache {folder} is not private to this user, name another folder in {CACHE_VARIABLE}")
    return folder


def _takes_files(folder: Path) -> bool:
    """Whether files can be made in ``folder``, or the folder where it is not there yet."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _evict(root: Path) -> None:
    ages = []
    for folder in root.glob("[0-9a-f]*"):
        with contextlib.suppress(FileNotFoundError):  # another process may evict at the same time
            if folder.is_dir():
                ages.append((folder.stat().st_mtime, folder))
    for _, folder in sorted(ages)[:-CAPACITY]:
        shutil.rmtree(folder, ignore_errors=True)
