"""The command-line convention that every ``python -m`` entry point follows.

A wrong input ends the program with exit status 2 and one line on standard error,
``error: <what, its value, what is allowed>``. Only a terminal gets it wrapped. Outputs are written
whole or not at all.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from golden.support.terminal import say, terminal
from golden.support.wrapping import wrapped_help


class UserError(ValueError):
    """Wrong input from outside the program. Its text is the one line that the user sees."""


class Parser(argparse.ArgumentParser):
    """``ArgumentParser`` that fits its texts to the terminal, keeps commands of examples whole, and fails in one line.

    Abbreviated options are refused: a script that relies on one breaks when another
    option with the same beginning is added.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # As argparse does for options, which it wraps itself.
        width = shutil.get_terminal_size().columns - 2
        for text in ("description", "epilog"):
            kwargs[text] = wrapped_help(kwargs.get(text) or "", width)
        super().__init__(allow_abbrev=False, **kwargs)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse ``--option=--``: before Python 3.13 `ArgumentParser` makes an empty list of it."""
        options, rest = super().parse_known_args(args, namespace)
        for name, value in vars(options).items():
            # An option that may come several times has a list of values.
            if isinstance(value, list) and (not value or [] in value):
                self.error(f"argument {name}: expected one argument, '--' is none")
        return options, rest

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


def integer(text: str) -> int:
    """An argparse ``type`` that accepts any integer, where more than the option decides what is allowed."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None


def file_path(text: str) -> Path:
    """An argparse ``type`` for paths. An empty path is refused: it is mostly a variable that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not a path")
    return Path(text)


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Run ``main(argv)`` and leave with its status. A `UserError` becomes the one line.

    A refusal of the file system (``OSError``) counts as wrong input, because the user named the
    path. Work that needs more memory than there is counts as wrong input, too. A reader who closes
    the output early is no error: the status is 141, without a line.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may contain bytes that are no text.
        sys.stdout.reconfigure(errors="backslashreplace")
    status: int | str | None
    try:
        status = _call(main)
        sys.stdout.flush()
    except UserError as error:
        status = _fail(str(error))
    except BrokenPipeError:
        status = 141
    except OSError as error:
        status = _fail(f"{error.filename or 'file system'}: {error.strerror or error}")
    except MemoryError as error:
        status = _fail(f"this takes more memory than there is: {error}")
    except KeyboardInterrupt:
        status = 130
    _drop_output()
    sys.exit(status)


def _call(main: Callable[[list[str]], int]) -> int | str | None:
    try:
        return main(sys.argv[1:])
    except SystemExit as stop:  # --help
        return stop.code


def _fail(message: str) -> int:
    say("error: " + " ".join(message.split()), terminal(stderr=True))
    return 2


def _drop_output() -> None:
    """Drop output that nobody takes. Else the interpreter tries again when it ends, and complains."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``path`` for writing so that it appears whole or, if the body raises, not at all.

    Text is UTF-8. A symbolic link stays a link, and the file that it points to is written.
    Raises `UserError` where ``path`` is there and no plain file, or its folder is missing or takes no files.
    """
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise UserError(f"output {path} is a directory, a file name is needed")
    if real.exists() and not real.is_file():
        # To replace a device would be to remove it.
        raise UserError(f"output {path} is not a plain file, a file name is needed")
    try:
        handle, temporary = tempfile.mkstemp(prefix=".xvolution-", dir=real.parent)
    except OSError as error:
        raise UserError(f"output {path} cannot be written: {error.strerror}") from None
    text: dict[str, Any] = {} if "b" in mode else {"newline": "\n", "encoding": "utf-8", "errors": "backslashreplace"}
    try:
        os.chmod(temporary, 0o666 & ~_umask())
        with os.fdopen(handle, mode, **text) as stream:
            yield stream
        os.replace(temporary, real)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def json_report(path: Path | None) -> Iterator[Callable[[object], object]]:
    """Yield a function that writes a command's figures as JSON to ``path``. Without a path it does nothing.

    Long work goes inside the context, so that a file that cannot be written is refused before the
    work. Raises `UserError` as `replacing` does.
    """
    if path is None:
        yield lambda figures: None
        return
    with replacing(path) as stream:
        yield lambda figures: stream.write(json.dumps(figures, indent=2) + "\n")


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write ``files``, by name, into ``folder``: all of them or none. The folder is made if needed.

    Raises `UserError` where one cannot be written.
    """
    output_directory(folder)
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(replacing(folder / name, "w" if isinstance(content, str) else "wb"))
            for name, content in files.items()
        ]
        for stream, content in zip(streams, files.values(), strict=True):
            stream.write(content)


def output_directory(path: str | os.PathLike[str]) -> Path:
    """Create ``path`` and its parents if needed, and return it.

    Raises `UserError` where it cannot be created or is not writable.
    """
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
