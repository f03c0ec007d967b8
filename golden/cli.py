"""The command-line convention that every ``python -m`` entry point follows.

A wrong input ends the program with exit status 2 and one line on standard error,
``error: <what, its value, what is allowed>``; outputs are written whole or not at all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn


class UserError(ValueError):
    """Wrong input from outside the program; its text is the one line the user sees."""


class Parser(argparse.ArgumentParser):
    """``ArgumentParser`` that keeps the line breaks of examples and fails in one line.

    Abbreviated options are refused: a script that relies on one breaks when another
    option with the same beginning is added.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def bounded(cast: Callable[[str], Any], low: float, high: float, unit: str = "") -> Callable[[str], Any]:
    """An argparse ``type`` that accepts numbers from ``low`` to ``high``, both included."""
    noun = "an integer" if cast is int else "a number"

    def parse(text: str) -> Any:
        try:
            value = cast(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            upper = "up" if high == float("inf") else f"to {high}"
            raise argparse.ArgumentTypeError(f"{text!r} is not {noun} from {low} {upper}{unit}")
        return value

    return parse


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Run ``main(argv)`` and leave with its status; a `UserError` becomes the one line.

    File-system refusals (``OSError``) count as wrong input too: the user named the path.
    """
    try:
        status = main(sys.argv[1:])
    except UserError as error:
        status = _fail(str(error))
    except OSError as error:
        status = _fail(f"{error.filename or 'file system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _fail(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``path`` for writing so that it appears whole or, if the body raises, not at all.

    Raises `UserError` if the folder of ``path`` is missing or does not take files.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"output {path} is a directory, a file name is needed")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UserError(f"output {path} cannot be written: {error.strerror}") from None
    try:
        os.chmod(temporary, 0o666 & ~_umask())
        with os.fdopen(handle, mode, newline=None if "b" in mode else "\n") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def output_directory(path: str | os.PathLike[str]) -> Path:
    """Create ``path`` (parents too) if needed and return it; `UserError` where that fails."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output directory {path} cannot be created: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"output directory {path} is not writable")
    return path


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
