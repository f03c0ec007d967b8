"""Every command line that a ``--help`` or a page shows is one that its command takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from golden.support.cli import Parser, UserError
from tests.support.commands import COMMANDS
from tests.support.pages import pages
from tests.support.places import ROOT

#: Values for the placeholders of the pages.
PLACEHOLDERS = {
    "LAYER": "tiny",
    "S": "1",
    "P": "1",
    "N": "1",
    "B": "8",
    "TASK": "digits",
    "T": "ecp5",
    "D": "ecp5-25f",
    "CYCLES": "100",
    "ROW,COLUMN": "1,1",
    "DIR": "d",
    "NAME": "digits",
    "KEY=VALUE": "seed=0",
    "FILE": "f",
    "STORE": "s.sqlite",
}


class Parsed(Exception):
    """The arguments were taken; the command goes no further."""


def stop_after_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = Parser.parse_known_args

    def parse_and_stop(self: Parser, args: list[str], namespace: object = None) -> None:
        _, rest = parse(self, args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {rest}")
        raise Parsed

    monkeypatch.setattr(Parser, "parse_known_args", parse_and_stop)


def command_lines(text: str) -> list[list[str]]:
    """Lines that begin with ``python -m``, but for comments and explanations after two spaces, as words."""
    return [shlex.split(re.split(r"\s{2,}", line)[0]) for line in re.findall(r"^ *python -m (.*)$", text, re.MULTILINE)]


def page_lines(page: Path) -> list[list[str]]:
    """Commands of a page: each with all its options, with those without one that is in brackets, too.

    A command's mere name, without any argument, is one that is mentioned.
    """
    lines = []
    for line in re.findall(r"`python\s-m\s((?:hw|golden|sim|scripts)\.[^`]*)`", page.read_text()):
        for text in (re.sub(r"\[[^]]*\]", "", line), re.sub(r"[][]", "", line)):
            lines.append([PLACEHOLDERS.get(word, word) for word in shlex.split(text)])
    return lines


def help_lines(name: str, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    with pytest.raises(SystemExit):
        COMMANDS[name].main(["--help"])
    return command_lines(capsys.readouterr().out)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_help(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = help_lines(name, capsys)
    assert lines, "every command has an example"
    stop_after_parsing(monkeypatch)
    for module, *argv in lines:
        assert module == name
        with pytest.raises(Parsed):
            COMMANDS[name].main(argv)


def test_every_command_is_on_the_page_of_commands() -> None:
    assert {line[0] for line in page_lines(ROOT / "docs" / "commands.md")} == COMMANDS.keys()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after_parsing(monkeypatch)
    for module, *argv in page_lines(page):
        assert module in COMMANDS
        if not argv and page.name != "commands.md":
            continue
        with pytest.raises(Parsed):
            COMMANDS[module].main(argv)


def test_an_example_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after_parsing(monkeypatch)
    for argv in (["--nosuch"], ["tiny", "--simd", "x"], ["tiny", "digits"]):
        with pytest.raises(UserError):
            COMMANDS["hw.build"].main(argv)
