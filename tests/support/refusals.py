"""What every command does with wrong input, checked in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from golden.support import cli

#: Takes a command's arguments, which it must refuse; returns the line it printed.
Refuse = Callable[..., str]


def refusal(
    main: Callable[[list[str]], int],
    snapshot: Callable[[], Sequence[object] | dict[Path, object]],
    monkeypatch: pytest.MonkeyPatch,
    capture: pytest.CaptureFixture[str],
) -> Refuse:
    """Run ``main`` with arguments that must fail: exit code 2, one line, and ``snapshot()`` as before."""

    def check(*arguments: str) -> str:
        before = snapshot()
        monkeypatch.setattr(sys, "argv", [main.__module__, *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.run(main)
        out, err = capture.readouterr()
        assert caught.value.code == 2
        assert out == ""
        assert err.startswith("error: ") and err.endswith("\n") and err.count("\n") == 1, err
        assert snapshot() == before
        return err

    return check
