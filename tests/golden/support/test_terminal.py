"""What people read: lines that wrap between words, numbers with commas, a spinner that leaves nothing behind."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from rich import box
from rich.table import Table

from golden.support.numbers import at_most, number
from golden.support.tables import show
from golden.support.terminal import say
from golden.support.wrapping import wrapped, wrapped_help
from tests.support.commands import COMMANDS
from tests.support.screen import screen

LONG = "/a/path/without/any/blank/that/is/longer/than/the/terminal/is/wide.npz"

# --- numbers ---


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5e6, "5,000,000"),
        (97656.25, "97,656.25"),
        (0.5, "0.5"),
        (16384, "16,384"),
        (0, "0"),
        (1e9, "1,000,000,000"),
        (-1234.5, "-1,234.5"),
        (1e300, "1e+300"),
        (2.5e-7, "2.5e-07"),
    ],
)
def test_numbers_as_people_write_them(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(97656.25, "97,656"), (97.656, "97.65"), (1.99999, "1.999"), (0.0123456, "0.01234"), (1000, "1,000"), (7, "7")],
)
def test_what_is_promised_is_rounded_down(value: float, text: str) -> None:
    assert at_most(value) == text
    assert float(text.replace(",", "")) <= value


# --- lines ---


def test_lines_wrap_between_words() -> None:
    text = f"wrote {LONG} and a-word-with-hyphens beside it"
    lines = wrapped(text, 30)
    assert " ".join(lines) == text
    assert all(len(line) <= 30 or line == LONG for line in lines)


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    text = "word " * 40 + "[/] :smile:"
    say(text)
    assert capsys.readouterr().out == f"{text}\n"


PROGRAM = """
import sys, time
from golden.support.cli import UserError, run
from golden.support.progress import spinner
from golden.support.tables import show
from golden.support.terminal import say
def main(argv):
    with spinner("working"):
        time.sleep(0.3)
    say("one two three four five six seven eight nine ten")
    say("    a command that is longer than the terminal is wide")
    raise UserError("eleven twelve thirteen fourteen fifteen")
run(main)
"""


def test_on_a_terminal(tmp_path: Path) -> None:
    """Neither a word is broken nor a part of the spinner is left. What is to be copied stays a single line."""
    (tmp_path / "talk.py").write_text(PROGRAM)
    assert screen(["talk"], columns=24, folder=tmp_path) == [
        *("one two three four five", "six seven eight nine ten"),
        *("    a command that is lo", "nger than the terminal i", "s wide"),
        *("error: eleven twelve", "thirteen fourteen", "fifteen", ""),
    ]


# --- tables ---


def shown(columns: int, table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    show(table)
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_tables_break_no_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """rich would shorten ``a_name_without_blanks`` to make room for words that wrap."""
    table = Table("name", "a heading of many words", "what", box=box.SIMPLE, collapse_padding=True, pad_edge=False)
    table.add_row("a_name_without_blanks", "12,345,678", "one two three [/] :smile:")
    lines = shown(46, table, monkeypatch, capsys)
    assert max(map(len, lines)) <= 46
    text = " ".join(lines)
    for word in ("a_name_without_blanks", "12,345,678", "three", "[/]", ":smile:", "heading"):
        assert word in text
    assert "…" not in text


def test_words_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("first", "second", box=None)
    table.add_row("a_name_without_blanks", "12,345,678")
    assert any(
        re.fullmatch(r"a_name_without_blanks +12,345,678", line) for line in shown(20, table, monkeypatch, capsys)
    )


# --- help ---


def test_examples_keep_their_commands() -> None:
    text = (
        "A line that is\nwrapped anew.\n\nExamples:\n    python -m x --long-option    what it does, in words\n    short"
    )
    assert wrapped_help(text, 56).splitlines() == [
        "A line that is wrapped anew.",
        "",
        "Examples:",
        "    python -m x --long-option    what it does, in words",
        "    short",
    ]
    assert wrapped_help(text, 54).splitlines()[3:5] == [
        "    python -m x --long-option    what it does, in",
        " " * 33 + "words",
    ]
    assert wrapped_help(text, 40).splitlines()[3:5] == [
        "    python -m x --long-option",
        "        what it does, in words",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit):
        COMMANDS[name].main(["--help"])
    for line in capsys.readouterr().out.splitlines():
        assert len(line) <= 80 or re.match(r" +python -m ", line), line
