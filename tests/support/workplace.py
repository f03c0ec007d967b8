"""A folder for each run of a command, and what must hold of the run whatever its arguments are."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from golden.support import cli

Main = Callable[[list[str]], int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended: its exit status, and what it wrote to both streams."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Workplace:
    """A folder ``root`` with a working folder ``here`` and a folder ``temporary`` for temporary files."""

    root: Path

    @property
    def here(self) -> Path:
        return self.root / "here"

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    def contents(self) -> dict[Path, bytes | None]:
        """Every path below ``root``, with the bytes of files that can be read."""

        def content(path: Path) -> bytes | None:
            return path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else None

        return {path: content(path) for path in sorted(self.root.rglob("*"))}

    def run(self, main: Main, argv: Sequence[str]) -> Outcome:
        """Run ``main`` as its module would. The streams are as strict about characters as those of a terminal."""
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        status: object = None
        with (
            contextlib.chdir(self.here),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch("sys.argv", [main.__module__, *argv]),
            mock.patch("tempfile.tempdir", str(self.temporary)),
        ):
            try:
                cli.run(main)
            except SystemExit as stop:
                status = stop.code
        assert isinstance(status, int), status
        texts = []
        for stream in (out, err):
            stream.flush()
            assert isinstance(stream.buffer, io.BytesIO)
            texts.append(stream.buffer.getvalue().decode())
        return Outcome(status=status, out=texts[0], err=texts[1])

    def check(self, main: Main, argv: Sequence[str], *, statuses: Sequence[int] = (0,)) -> Outcome:
        """Run ``main``, and fail unless it behaves.

        It must end with one of ``statuses``. Or it must end with 2, print one line, and leave all files as before.
        Whatever it changes must lie where an argument points to, or in ``build``. No temporary file may stay.
        """
        before = self.contents()
        outcome = self.run(main, argv)
        after = self.contents()
        assert not list(self.temporary.iterdir())
        changed = {path for path in before.keys() | after.keys() if before.get(path, 0) != after.get(path, 0)}
        if outcome.status == 2:
            assert_refusal(outcome)
            assert all(path.is_dir() for path in changed)
        else:
            assert outcome.status in statuses
            assert outcome.err == ""
        named = [self.here / word for argument in argv for word in (argument, argument.partition("=")[2]) if word]
        places = {Path(os.path.realpath(path)) for path in (*named, self.here / "build")}
        on_the_way = {folder for place in places for folder in place.parents}
        for path in changed:
            assert path in places or places & set(path.parents) or (path.is_dir() and path in on_the_way)
        return outcome


def assert_refusal(outcome: Outcome) -> None:
    assert outcome.out == ""
    assert outcome.err.startswith("error: ") and outcome.err.endswith("\n"), outcome.err
    assert len(outcome.err.splitlines()) == 1, outcome.err


@contextlib.contextmanager
def workplace() -> Iterator[Workplace]:
    """An empty workplace, which is removed after the body."""
    with tempfile.TemporaryDirectory(prefix="workplace-") as root:
        place = Workplace(Path(os.path.realpath(root)))
        place.here.mkdir()
        place.temporary.mkdir()
        yield place
