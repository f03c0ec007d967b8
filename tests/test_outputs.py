"""No command writes one file twice, or over a file that it reads: whatever the names of the file are.

What a command reads and writes is watched, not declared: a new command or option is tried, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support.commands import COMMANDS, PATHS, Command, furnish
from tests.support.places import ROOT
from tests.support.tiers import thorough
from tests.support.workplace import Workplace, workplace

PACKAGES = ("golden", "hw", "sim", "scripts")
#: Suffixes of files that hold what a command works on.
DATA = (".npz", ".npy", ".json", ".sqlite", ".onnx")
#: Names for an output: the last one is for options that want such a suffix.
FRESH = ("fresh", "fresh.vcd")

#: Files that are opened for reading while a command runs; None while none does.
_opened: set[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is None or event not in ("open", "sqlite3.connect"):
        return
    path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    if path.endswith(DATA):
        _opened.add(os.path.realpath(path))


sys.addaudithook(_watch)


@contextlib.contextmanager
def watched(root: Path) -> Iterator[set[str]]:
    """Yield the set of the files with data that the body opens for reading.

    No file outside ``root`` is replaced: a command that is wrong must not harm the checkout.
    """
    global _opened
    _opened = found = set()
    replace = os.replace

    def guarded(source: Any, target: Any) -> None:
        assert Path(target).is_relative_to(root), f"{target} would be overwritten"
        replace(source, target)

    try:
        with mock.patch("os.replace", guarded):
            yield found
    finally:
        _opened = None


class Trial:
    """What a command does with each of its paths."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.argv = list(command.works)
        paths = [option for option, usual in command.values.items() if usual is not None and set(PATHS) <= {*usual}]
        self.files: dict[str, str] = {}
        self.folders: dict[str, tuple[str, ...]] = {}
        for option in paths:
            if "x.npy" in self._reads([option, "x.npy"]):
                self.argv += [option, "x.npy"]
        for option in paths:
            for name in FRESH:
                written = self._writes([option, name])
                if written is None or option in self.files or option in self.folders:
                    continue
                if written == ("",):
                    self.files[option] = name
                elif written:
                    self.folders[option] = written
        self.outputs = [*self.files, *self.folders]

    def _reads(self, more: Sequence[str]) -> set[str]:
        """Files that are read in a run with ``more`` arguments, as arguments; empty if it is refused."""
        with workplace() as place:
            furnish(place)
            status, found = self._run(place, [*self.argv, *more])
            return {self.name(place, path) for path in found} if status == 0 else set()

    def _writes(self, more: Sequence[str]) -> tuple[str, ...] | None:
        """Names below the last of ``more`` that a run writes: "" for itself; None if it is refused."""
        with workplace() as place:
            furnish(place)
            if self.run(place, [*self.argv, *more]) != 0:
                return None
            root = place.here / more[-1]
            if not root.is_dir():
                return ("",) if root.exists() else ()
            return tuple(str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file())

    def reads(self, option: str, value: str) -> list[str]:
        return sorted(path for path in self._reads([option, value]) if not path.startswith("fresh"))

    def run(self, place: Workplace, argv: Sequence[str]) -> int:
        return self._run(place, argv)[0]

    def _run(self, place: Workplace, argv: Sequence[str]) -> tuple[int, set[str]]:
        """The exit status, and the files that were read."""
        opened: set[str] = set()

        def main(argv: list[str]) -> int:
            with watched(place.root) as found:
                try:
                    return self.command.main(argv)
                finally:
                    opened.update(found)

        main.__module__ = self.command.main.__module__
        return dataclasses.replace(self.command, main=main).check(place, argv).status, opened

    @staticmethod
    def name(place: Workplace, path: str) -> str:
        """A path in the working folder as an argument names it."""
        return os.path.relpath(path, place.here) if path.startswith(str(place.here)) else path


def modules() -> Iterator[str]:
    """Every module that ``python -m`` runs."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if 'if __name__ == "__main__":' in path.read_text():
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")


def test_every_command_is_tried() -> None:
    assert sorted(modules()) == sorted(COMMANDS)


@thorough
@pytest.mark.parametrize("name", COMMANDS)
def test_each_output_is_a_file_of_its_own(name: str) -> None:
    trial = Trial(COMMANDS[name])
    for option, fresh in trial.files.items():
        for source, link in itertools.product(trial.reads(option, fresh), (os.symlink, os.link)):
            with workplace() as place:
                furnish(place)
                with contextlib.suppress(OSError):  # another file system has no hard links to here
                    link(place.here / source, place.here / fresh)
                    assert trial.run(place, [*trial.argv, option, fresh]) == 2, f"{option} is the input {source}"
    for option, names in trial.folders.items():
        for source, written in itertools.product(trial.reads(option, "fresh"), names):
            with workplace() as place:
                furnish(place)
                (place.here / "fresh" / written).parent.mkdir(parents=True)
                (place.here / "fresh" / written).symlink_to(place.here / source)
                assert trial.run(place, [*trial.argv, option, "fresh"]) == 2, f"{written} is the input {source}"
        for first, second in itertools.pairwise(names):
            with workplace() as place:
                furnish(place)
                (place.here / "fresh" / first).parent.mkdir(parents=True)
                (place.here / "fresh" / first).symlink_to(place.here / "fresh" / second)
                assert trial.run(place, [*trial.argv, option, "fresh"]) == 2, f"{first} is {second}"
    for one, other in itertools.combinations(trial.files, 2):
        with workplace() as place:
            furnish(place)
            fresh = max(trial.files[one], trial.files[other])
            assert trial.run(place, [*trial.argv, one, fresh, other, fresh]) == 2, f"{one} is {other}"


@thorough
def test_what_is_watched_is_there() -> None:
    """Or the test above would try nothing."""
    run, vectors = Trial(COMMANDS["sim.run"]), Trial(COMMANDS["golden.vectors"])
    assert set(run.files) == {"--output", "--report", "--waves"} and not run.folders
    assert run.reads("--output", "fresh") == ["layer.npz", "x.npy"]
    assert set(vectors.folders) == {"--out"} and len(vectors.folders["--out"]) >= 5
    assert vectors.reads("--out", "fresh") == ["layer.npz", "x.npy"]
    assert Trial(COMMANDS["scripts.report"]).reads("--out", "fresh") == ["studies.sqlite"]
