"""A register table to read: as Markdown, and as a page of its own in HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from golden.contract.ranges import Range
from hw.control.register_table import Access, Field, Register, RegisterTable, Window

_RULES = (
    "Addresses count bytes. All words have 32 bits; bits that belong to no field read as 0 and must be written as 0. "
    "What is refused is answered with SLVERR, sets a bit of `errors`, and changes nothing else."
)
_STYLE = """\
body { font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
th, td { border: 1px solid #bbb; padding: 0.25em 0.6em; text-align: left; vertical-align: top; }
th { background: #eee; }
code { background: #f4f4f4; padding: 0 0.2em; }
"""

Rows = Sequence[Sequence[str]]


def register_markdown(table: RegisterTable) -> str:
    """The table as Markdown."""
    blocks = [f"# {table.description}: registers", _RULES]
    for block in _blocks(table):
        blocks.append(block if isinstance(block, str) else _markdown_table(block))
    return "\n\n".join(blocks) + "\n"


def register_html(table: RegisterTable) -> str:
    """The table as a page that needs nothing else."""
    title = escape(f"{table.description}: registers")
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8"><title>{title}</title>',
        f"<style>\n{_STYLE}</style></head>",
        f"<body>\n<h1>{title}</h1>",
        f"<p>{_html(_RULES)}</p>",
    ]
    for block in _blocks(table):
        if not isinstance(block, str):
            lines.append(_html_table(block))
        elif block.startswith("## "):
            lines.append(f"<h2>{_html(block[3:])}</h2>")
        else:
            lines.append(f"<p>{_html(block)}</p>")
    return "\n".join([*lines, "</body></html>", ""])


def _blocks(table: RegisterTable) -> Iterator[str | Rows]:
    """Headings (``## ...``), paragraphs and tables (heads first), in order."""
    yield [
        ("address", "name", "access", "meaning"),
        *((f"`{r.address:#04x}`", f"`{r.name}`", r.access.value, r.description) for r in table.registers),
        *((_span(w), f"`{w.name}`", Access.WRITE_ONLY.value, w.description) for w in table.windows),
    ]
    for register in table.registers:
        yield from _register(register)
    for window in table.windows:
        yield from _window(window)


def _register(register: Register) -> Iterator[str | Rows]:
    yield f"## `{register.name}` at `{register.address:#04x}`"
    yield f"{register.description} {_sentence(register.access.value)}{_refused(register.refused_while)}"
    columns: dict[str, Callable[[Field], str]] = {"bits": _bits, "field": lambda field: f"`{field.name}`"}
    if register.access is Access.CONSTANT:
        columns["value"] = _number
    if register.access in (Access.READ_WRITE, Access.CLEAR):
        columns["after a reset"] = _number
    if any(field.allowed for field in register.fields):
        columns["allowed"] = lambda field: _limits(field.allowed)
    # A register of one field that bears its name says what it is once.
    if [field.name for field in register.fields] != [register.name]:
        columns["meaning"] = lambda field: field.description
    yield [tuple(columns), *(tuple(show(field) for show in columns.values()) for field in register.fields)]


def _bits(field: Field) -> str:
    return str(field.low) if field.bits == 1 else f"{field.high}:{field.low}"


def _window(window: Window) -> Iterator[str | Rows]:
    yield f"## `{window.name}` at {_span(window)}"
    place = f"Word `[row][lane]` is at `{window.address:#x} + row * {window.stride} + lane * 4`"
    yield (
        f"{window.description} {place}, row 0 to {window.rows - 1}, lane 0 to {window.lanes - 1}. "
        f"{_sentence(Access.WRITE_ONLY.value)}"
        + (f" Allowed: {_limits(window.allowed)}." if window.allowed else "")
        + _refused(window.refused_while)
    )


def _span(window: Window) -> str:
    return f"`{window.address:#x}` to `{window.end - 1:#x}`"


def _number(field: Field) -> str:
    """A field's value after a reset. Values that fill a word are bit patterns, in hexadecimal."""
    return f"`{field.reset:#010x}`" if field.bits == 32 and field.reset >= 2**16 else str(field.reset)


def _limits(allowed: Range | None) -> str:
    return "" if allowed is None else f"{allowed.low} to {allowed.high}"


def _refused(reason: str) -> str:
    return f" Refused while {reason}." if reason else ""


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _markdown_table(rows: Rows) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _html_table(rows: Rows) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_html(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", line(rows[0], "th"), *(line(row, "td") for row in rows[1:]), "</table>"])


def _html(text: str) -> str:
    """HTML of a text in which backquotes mark code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
