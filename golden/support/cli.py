"""The command-line convention that every ``python -m`` entry point follows.

A wrong input ends the program with exit status 2 and one line on standard error,
``error: <what, its value, what is allowed>``. Only a terminal gets it wrapped. Outputs are written
whole or not at all.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import itertools
import json
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
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


def tell_missing_packages() -> None:
    """Let a module that ``python -m`` runs end with the one line where it imports a package that is not installed.

    A package of commands calls this before anything else: such imports come before `run`, which could tell.
    """
    usual = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        name = (error.name or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if not name or importlib.util.find_spec(name) is not None:
            usual(kind, error, trace)
            return
        sys.exit(_fail(f"this needs {name}, which is not installed: the extra 'test' of xvolution brings it"))

    # While Python looks for the module, this stands for its path.
    if sys.argv[:1] == ["-m"]:
        sys.excepthook = tell


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
    real = _real_output(path)
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


def _real_output(path: str | os.PathLike[str]) -> Path:
    """Where the output ``path`` leads. Raises `UserError` if something is there that is no plain file."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise UserError(f"output {path} is a directory, a file name is needed")
    if real.exists() and not real.is_file():
        # To replace a device would be to remove it.
        raise UserError(f"output {path} is not a plain file, a file name is needed")
    return real


def check_outputs(outputs: Iterable[Path | None], *, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse outputs that cannot be written: before the work, not after it.

    None stands for an option that is not given.

    Raises:
        UserError: for an output in a folder that is missing or takes no files, for one that is no plain file, for
            two outputs that are one file, and for an output that is an input, too. Links are followed.
    """
    found: list[Path] = []
    for path in filter(None, outputs):
        parent = _real_output(path).parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(f"output {path} cannot be written: {path.parent} is not a writable directory")
        found.append(path)
    _check_distinct(found, inputs)


def check_folder(
    folder: Path, names: Iterable[str], *, beside: Iterable[Path | None] = (), inputs: Iterable[Path | None] = ()
) -> None:
    """Refuse outputs ``names`` in ``folder`` as `check_outputs` does. The folder may be missing: it is made later.

    ``beside`` are outputs that are not in this folder, or should not be; None stands for an option that is not given.
    """
    found = [folder / name for name in names]
    for path in found:
        _real_output(path)
    _check_distinct([*found, *filter(None, beside)], inputs)


def _check_distinct(outputs: Sequence[Path], inputs: Iterable[Path | None]) -> None:
    found: dict[object, Path] = {}
    for path in outputs:
        for identity in _identities(path):
            if identity in found:
                raise UserError(f"output {path} is the file that output {found[identity]} is, each needs its own")
        found |= dict.fromkeys(_identities(path), path)
    for path, source in itertools.product(outputs, filter(None, inputs)):
        if _same(path, source):
            raise UserError(f"output {path} is an input, too, another file is needed")


def _same(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file, whatever its names are."""
    try:
        return os.path.samefile(first, second)
    except OSError:  # one is not there yet
        return os.path.realpath(first) == os.path.realpath(second)


def _identities(path: Path) -> list[object]:
    """What two paths that lead to one file have in common: where they lead, or the file itself if it is there."""
    try:
        status = path.stat()
    except OSError:
        return [_folded(path)]
    return [_folded(path), (status.st_dev, status.st_ino)]


def _folded(path: Path) -> str:
    """The path as those file systems see it that do not tell apart capitals, or ways to write an accent."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


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

    A name may be that of a folder in ``folder``, and that of a file in it: ``memory/words.mem``.

    Raises `UserError` where one cannot be written, or two of them are one file.
    """
    check_folder(folder, files)
    for parent in dict.fromkeys((folder / name).parent for name in files):
        output_directory(parent)
    with contextlib.ExitStack() as stack:
        for name, content in files.items():
            stream = stack.enter_context(replacing(folder / name, "w" if isinstance(content, str) else "wb"))
            stream.write(content)
            stream.close()  # there may be more files than a process may have open


def sha256_of(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """The sha256 of each file that `write_files` writes, by name: for `remove_former`."""
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def remove_former(folder: Path, former: Mapping[str, str], files: Collection[str]) -> tuple[list[str], list[str]]:
    """Remove what an earlier run has written into ``folder`` and the present one does not write.

    A file that someone has changed since is not removed, nor is anything that is no plain file. A folder in
    ``folder`` goes with the last file in it.

    Args:
        folder: where both runs write.
        former: sha256 of each file of the earlier run, by name.
        files: names of the files of the present run.

    Returns:
        The names of the files that are removed, and of those that are left because they were changed.
    """
    removed, left = [], []
    for name, digest in former.items():
        path = folder / name
        if name in files or not _inside(folder, name) or path.is_symlink() or not path.is_file():
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            path.unlink()
            removed.append(name)
            if path.parent != folder:
                with contextlib.suppress(OSError):  # it has other files
                    path.parent.rmdir()
        else:
            left.append(name)
    return removed, left


def _inside(folder: Path, name: str) -> bool:
    """Whether ``name`` is that of a file in ``folder`` or in a folder of it, as `write_files` takes it."""
    parts = name.split("/")
    own = all(part not in ("", ".", "..") and os.path.basename(part) == part for part in parts)
    return own and (len(parts) == 1 or (len(parts) == 2 and not (folder / parts[0]).is_symlink()))


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
