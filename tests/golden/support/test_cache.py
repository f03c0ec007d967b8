"""What slow tools made is shared whole or not at all, and the cache does not grow for ever."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from golden.support import cache


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(text: str):
    return lambda folder: (folder / "file").write_text(text)


def test_made_once_per_key() -> None:
    first = cache.cached(["a", "b"], write("1"))
    assert cache.cached(["a", "b"], write("2")) == first and (first / "file").read_text() == "1"
    others = {cache.cached(key, write("3")) for key in (["ab"], ["a", "c"], ["a", "b", ""])}
    assert len(others | {first}) == 4


def test_failure_leaves_nothing(root: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("full disk")

    with pytest.raises(ValueError, match="full disk"):
        cache.cached(["a"], fail)
    assert [path.suffix for path in root.iterdir()] == [".lock"]
    assert [path.name for path in cache.cached(["a"], write("1")).iterdir()] == ["file"]


def test_concurrent_callers_wait_for_one() -> None:
    made = []

    def slow(folder: Path) -> None:
        made.append(folder)
        (folder / "file").touch()
        time.sleep(0.2)
        (folder / "whole").touch()

    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(sorted(os.listdir(cache.cached(["a"], slow))))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and seen == [["file", "whole"]] * 4


def test_least_recently_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CAPACITY", 2)
    first, second = (cache.cached([name], write(name)) for name in "ab")
    for age, folder in enumerate((first, second)):
        os.utime(folder, (1000 + age, 1000 + age))
    cache.cached(["a"], write("a"))  # used again
    third = cache.cached(["c"], write("c"))
    assert first.exists() and third.exists() and not second.exists()
