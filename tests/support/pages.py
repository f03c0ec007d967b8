"""Pages of the documentation: their Python blocks and commands, and how they are run."""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from golden.support import cli
from tests.support.compilers import unoptimised
from tests.support.places import ROOT

#: The first line of a Python block that is a file.
_FILE = re.compile(r"# (\w+\.py)\n")
#: A command of ours, where a shell does no more than take quotes away. It needs no process of its own: others are
#: tested as such.
_PLAIN = re.compile(r'python -m (?P<module>(?:golden|hw|scripts|sim)\.\w+)(?P<words>(?: (?:[\w.,:=/-]+|"[^"$`\\]*"))*)')
#: A fenced block with its language.
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What is between the cells of a table on a terminal.
_BETWEEN = re.compile(r"[\s─━│┃┌┐└┘├┤┬┴┼┏┓┗┛┡┩╇┳┻]+")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: language that the page names; empty where the block shows what something printed.
        text: text inside the fences.
        line: number of the text's first line in the page.
    """

    language: str
    text: str
    line: int

    @property
    def commands(self) -> list[str]:
        """The commands of a console block: the lines with a prompt, without it."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


def pages() -> list[Path]:
    """All pages that people write."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        yield Block(match[1], match[2], text[: match.start(2)].count("\n") + 1)


def printed_lines(text: str) -> set[str]:
    """The lines of what a terminal shows, without the frames of tables and the room that these take."""
    return {_BETWEEN.sub(" ", line).strip() for line in text.splitlines()}


class Reader:
    """Someone who follows a page, with one Python session and a shell in the same folder.

    Args:
        page: the page; tracebacks name it.
        folder: where commands run. The tests' process must be in this folder, too.

    Attributes:
        said: what each block that ran has printed.
    """

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.names: dict[str, Any] = {"__name__": "__page__"}
        self.said: list[str] = []

    def follow(self, block: Block) -> None:
        """Run a block. Raises what its Python raises, or `AssertionError` where a command fails.

        A Python block that begins with the name of a file becomes that file.
        """
        if block.language == "python" and (file := _FILE.match(block.text)):
            (self.folder / file[1]).write_text(block.text)
        elif block.language == "python":
            # With empty lines in front, line numbers in tracebacks are those of the page.
            code = compile("\n" * (block.line - 1) + block.text, str(self.page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, self.names)
            self.said.append(out.getvalue())
        elif block.language == "console":
            # ``make`` would set up an environment, or run the tests that run this.
            commands = [line for line in block.commands if not line.startswith("make ")]
            plain = list(itertools.takewhile(bool, map(_PLAIN.fullmatch, commands)))
            said = [self._call(match["module"], shlex.split(match["words"])) for match in plain if match]
            if others := commands[len(plain) :]:
                said.append(self._shell(others))
            self.said.append("".join(said))

    def _call(self, module: str, arguments: list[str]) -> str:
        """Run a module as ``python -m`` does, but in this process. Returns what it prints. Fails where it fails."""
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(streams[0]),
            contextlib.redirect_stderr(streams[1]),
            mock.patch("sys.argv", [module, *arguments]),
        ):
            status: object = 0
            try:
                cli.run(_module(module).main)
            except SystemExit as stop:
                status = stop.code
        out, err = (stream.buffer.getvalue().decode() for stream in streams if isinstance(stream.buffer, io.BytesIO))
        assert not status, f"{self.page.name}: {module} {arguments}: {err}"
        return out

    def _shell(self, commands: list[str]) -> str:
        """Run ``commands`` in one shell. Returns what they print. Fails where one of them fails."""
        # The tests are in the checkout, and nowhere else.
        checkout = f"cd {shlex.quote(str(ROOT))}"
        # That they find tests is enough: the tests run anyway.
        collect = f"{checkout} && pytest --collect-only -q"
        lines = [
            f"({collect} {line.removeprefix('pytest ')})" if line.startswith("pytest ") else line for line in commands
        ]
        script = ["bash", "-e", "-c", "\n".join(lines)]
        with tempfile.TemporaryDirectory(prefix="xvolution-") as scratch:
            path = f"{Path(sys.executable).parent}{os.pathsep}{unoptimised(Path(scratch) / 'compiler')}"
            environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
            run = subprocess.run(script, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600)
        assert run.returncode == 0, f"{self.page.name}: {commands}: {run.stderr}"
        return run.stdout


def _module(name: str) -> Any:
    """The module that ``python -m name`` runs. Its functions can be sent to other processes."""
    imported = importlib.import_module(name)
    return importlib.import_module(f"{name}.__main__") if hasattr(imported, "__path__") else imported
