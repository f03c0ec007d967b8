"""``python -m scripts.prove``: pytest's report is found wherever temporary files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.support.cli import UserError
from scripts import prove
from tests.support.tiers import thorough


@thorough
def test_temporary_files_may_be_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest expands variables in the name of its report."""
    odd = tmp_path / "it's $HOME: #1"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    with pytest.raises(UserError, match="only 'nosuch' names no proof"):
        prove.main(["--only", "nosuch", "--jobs", "1"])
