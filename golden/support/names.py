"""Names that go into generated text."""

from __future__ import annotations

import re
from functools import cache

from pygments.lexers.hdl import SystemVerilogLexer
from pygments.token import Token

from golden.support.cli import UserError

#: Most characters of a name. File names that begin with the name stay within what file systems allow.
MAX_NAME = 64
#: Most characters of the name of a part: a name, a number, and another name.
MAX_PART_NAME = 2 * MAX_NAME + 8


def identifier(name: str, language: str, most: int = MAX_NAME) -> str:
    """``name``, if names of ``language`` can begin with it. Raises `UserError` otherwise."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) or len(name) > most:
        allowed = f"letters, digits and _, no digit first, at most {most} characters"
        raise UserError(f"name {name[:most]!r} is no {language} identifier, allowed are {allowed}")
    return name


@cache
def module_name(name: str, most: int = MAX_NAME) -> str:
    """``name``, if a Verilog module can bear it. Raises `UserError` otherwise."""
    ((kind, _), *_) = SystemVerilogLexer().get_tokens(f"{identifier(name, 'Verilog', most)} x")
    if kind is not Token.Name:
        raise UserError(f"name {name!r} is a word of Verilog's own, allowed is any other identifier")
    return name
