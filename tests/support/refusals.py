"""What every command does with wrong input, checked in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from golden.contract.fields import LayerError
from golden.support import cli

#: Takes arguments that a command must refuse. Returns the line that the command printed.
Refuse = Callable[..., str]


def refusal(
    main: Callable[[list[str]], int],
    snapshot: Callable[[], Sequence[object] | dict[Path, object]],
    monkeypatch: pytest.MonkeyPatch,
    capture: pytest.CaptureFixture[str],
) -> Refuse:
    """A function that runs ``main`` with arguments that it must refuse.

    It fails unless the exit code is 2, one line is printed, and ``snapshot()`` is as before.
    """

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


def file_refused(read: Callable[[Path], object], kind: str, path: Path, *words: str) -> None:
    """``read`` refuses the file of a ``kind``: it names the file and says each of ``words``, in one line."""
    with pytest.raises(LayerError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{kind} file {path}: ")
    for word in words:
        assert word in message
    assert "\n" not in message and len(message) < 400 + len(str(path))
