"""What commands share: their one line, files that appear whole or not at all, odd names, streams that nobody reads."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import resource
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden.contract.layer_config import LayerError
from golden.contract.layer_file import read_layer
from golden.layers.digits_layer import read_digits, write_digits
from golden.support import cli
from golden.support.cli import UserError, replacing, write_files
from hw import build
from tests.support.foul import archive, bomb, layer_members, small_layer
from tests.support.places import ROOT
from tests.support.workplace import assert_refusal, workplace

TIMEOUT = 120


# --- files ---


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    """Who may write in /dev could remove /dev/null with ``--output /dev/null``."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="pipe is not a plain file, a file name is needed"), replacing(pipe):
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode) and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to("target")
    if there:
        target.write_text("old")
    with replacing(link) as stream:
        stream.write("new")
    assert link.is_symlink() and target.read_text() == "new"


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    with replacing(tmp_path / ("x" * 255)) as stream:
        stream.write("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_text_is_utf_8_whatever_the_names_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    with replacing(tmp_path / "text") as stream:
        stream.write("Ω \udcff\n")
    assert (tmp_path / "text").read_bytes() == "Ω \\udcff\n".encode()


def test_each_output_is_a_file_of_its_own(tmp_path: Path) -> None:
    x, y = tmp_path / "x", tmp_path / "y"
    x.touch()
    (tmp_path / "link").symlink_to("x")
    os.link(x, tmp_path / "hard")
    cli.check_outputs([y, None, tmp_path / "z"], inputs=[x, None, tmp_path / "missing"])
    for other in (x, tmp_path / "link", tmp_path / "hard", tmp_path / "." / ".." / tmp_path.name / "x"):
        with pytest.raises(UserError, match="is an input, too"):
            cli.check_outputs([y, other], inputs=[x])
    for other in ("y", "Y", "./y"):
        with pytest.raises(UserError, match=r"is the file that output .*y is, each needs its own"):
            cli.check_outputs([y, None, tmp_path / other])
    for path, message in ((tmp_path / "none" / "y", "none is not a writable directory"), (tmp_path, "is a directory")):
        with pytest.raises(UserError, match=message):
            cli.check_outputs([path])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hard", "link", "x"]


def test_files_of_a_folder_are_its_own(tmp_path: Path) -> None:
    cli.check_folder(tmp_path / "none" / "deeper", ["a", "b"], inputs=[tmp_path / "a"])
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").symlink_to("b")
    with pytest.raises(UserError, match=r"output .*b is the file that output .*a is"):
        write_files(tmp_path, {"a": "one", "b": "other"})
    with pytest.raises(UserError, match=r"output .*a is an input, too"):
        cli.check_folder(tmp_path, ["a"], inputs=[tmp_path / "b"])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_all_files_or_none(tmp_path: Path) -> None:
    write_files(tmp_path / "new", {"a": "text\n", "b": b"\0"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"a": b"text\n", "b": b"\0"}
    (tmp_path / "new" / "c").mkdir()
    with pytest.raises(UserError, match="c is a directory"):
        write_files(tmp_path / "new", {"a": "other", "c": "other"})
    assert (tmp_path / "new" / "a").read_text() == "text\n"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a", "b", "c"]


def test_files_in_a_folder_of_the_folder(tmp_path: Path) -> None:
    """They are written and removed as all others; the folder goes with the last of them."""
    files: dict[str, str | bytes] = {"a": "text\n", "inner/b": b"\0", "inner/c": "c"}
    write_files(tmp_path, files)
    assert (tmp_path / "inner" / "b").read_bytes() == b"\0"
    former = cli.sha256_of(files)
    assert cli.remove_former(tmp_path, former, ["a", "inner/b"]) == (["inner/c"], [])
    assert (tmp_path / "inner" / "b").exists()
    assert cli.remove_former(tmp_path, former, ["a"]) == (["inner/b"], [])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / "inner").write_text("in the way")
    with pytest.raises(UserError):
        write_files(tmp_path, files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "inner"]


def test_more_files_than_a_process_may_have_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 100), hard))
    try:
        write_files(tmp_path, {f"inner/{number}": str(number) for number in range(120)})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (tmp_path / "inner" / "119").read_text() == "119"


def test_a_network_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "digits_layer_network.npz").mkdir()
    with pytest.raises(UserError, match=r"digits_layer_network.npz is a directory"):
        write_digits(tmp_path, read_digits().first(2))
    assert [path.name for path in tmp_path.iterdir()] == ["digits_layer_network.npz"]


# --- archives ---


@pytest.mark.parametrize(
    ("member", "shape", "descr", "message"),
    [
        ("bias", "(67108864,)", "|i1", r"bias has shape \[67108864\], the config needs \[4\]"),
        ("conv_weight", "(4, 2, 3, 3)", "|V932067", r"conv_weight has dtype \|V932067, allowed are integer dtypes"),
        ("config", "()", "<U16777216", "config has 16777216 characters, allowed are 100000"),
        ("surplus", "(67108864,)", "|i1", "array 'surplus' is unknown"),
    ],
)
def test_a_bomb_is_not_unpacked(tmp_path: Path, member: str, shape: str, descr: str, message: str) -> None:
    """64 MiB of zeros take 64 KiB in the file; what refuses them must not take much more."""
    members = [entry for entry in layer_members(small_layer()) if entry[0] != f"{member}.npy"]
    path = tmp_path / "layer.npz"
    path.write_bytes(archive([*members, (f"{member}.npy", bomb(shape, descr, 2**26))]))
    tracemalloc.start()
    try:
        with pytest.raises(LayerError, match=message):
            read_layer(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22


def test_bytes_after_an_array_in_an_archive(tmp_path: Path) -> None:
    members = layer_members(small_layer())
    members[3] = (members[3][0], members[3][1] + b"\0")
    (tmp_path / "layer.npz").write_bytes(archive(members, zipfile.ZIP_STORED))
    with pytest.raises(LayerError, match="array 'bias' goes on after its end"):
        read_layer(tmp_path / "layer.npz")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("head_weight", "text", "head_weight has dtype <U4, allowed are floating-point dtypes"),
        ("labels", 0.5, "labels has dtype float64, allowed are integer dtypes"),
        ("head_bias", np.nan, "head_bias has a value that is NaN or infinite"),
    ],
)
def test_numbers_of_a_network(tmp_path: Path, name: str, value: object, message: str) -> None:
    write_digits(tmp_path, read_digits().first(2))
    path = tmp_path / "digits_layer_network.npz"
    with np.load(path) as old:
        arrays = dict(old)
    np.savez(path, **(arrays | {name: np.full(arrays[name].shape, value)}))
    with pytest.raises(UserError, match=message):
        read_digits(tmp_path)


def test_a_layer_that_the_pool_does_not_divide(tmp_path: Path) -> None:
    digits = read_digits().first(2)
    frames = np.zeros((2, 2, 3, 4), np.uint8)
    write_digits(tmp_path, dataclasses.replace(digits, layer=small_layer(), frames=frames))
    with pytest.raises(UserError, match=r"digits_layer.npz: out_height 3 is not a multiple of the pool's 2"):
        read_digits(tmp_path)


# --- arguments ---


def test_the_value_of_an_option_is_never_a_list() -> None:
    """Python's own parser gives one for ``--option=--``."""
    parser = cli.Parser(prog="command")
    parser.add_argument("--option", type=int)
    with pytest.raises(UserError, match="option: expected one argument"):
        parser.parse_args(["--option=--"])


def test_no_path_is_empty() -> None:
    """``--out "$folder"`` with a variable that is not set would write here."""
    with workplace() as place:
        outcome = place.check(build.main, ["tiny", "--out", ""])
    assert outcome.status == 2 and "--out: '' is not a path" in outcome.err


def test_names_are_no_markup() -> None:
    with workplace() as place:
        layer = place.here / "[bold]" / "[" / "bold].npz"
        layer.parent.mkdir(parents=True)
        layer.write_bytes(archive(layer_members(small_layer())))
        outcome = place.check(build.main, ["[bold]/[/bold].npz", "--estimate"])
    assert outcome.status == 0 and "[bold]/[/bold].npz" in outcome.out


def test_memory_that_is_not_there() -> None:
    def main(argv: list[str]) -> int:
        raise MemoryError("Unable to allocate 1 EiB")

    with workplace() as place:
        outcome = place.run(main, [])
    assert_refusal(outcome)
    assert outcome.err == "error: this takes more memory than there is: Unable to allocate 1 EiB\n"


# --- streams ---


def speak(stdout: int, unbuffered: str) -> subprocess.CompletedProcess[str]:
    """A command whose output goes to ``stdout``: as it comes, or all at its end."""
    command = [sys.executable, "-c", "from golden.support import cli; cli.run(lambda argv: print('said') or 0)"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough(unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = speak(write, unbuffered)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nothing_takes(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = speak(full.fileno(), unbuffered)
    assert (done.returncode, done.stderr) == (2, "error: file system: No space left on device\n")


def test_stdout_need_not_be_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit) as caught:
        cli.run(lambda argv: 0)
    assert caught.value.code == 0


def test_a_report_is_opened_before_the_work_and_there_only_after_it(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with cli.json_report(report) as write:
        write({"found": [1, None]})
    assert json.loads(report.read_text()) == {"found": [1, None]}
    with pytest.raises(RuntimeError), cli.json_report(tmp_path / "other.json"):
        raise RuntimeError("the work fails")
    assert list(tmp_path.iterdir()) == [report]
    began = False
    with pytest.raises(cli.UserError), cli.json_report(tmp_path / "missing" / "report.json"):
        began = True
    assert not began


def test_no_report_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with cli.json_report(None) as write:
        write({"found": 1})
    assert not list(tmp_path.iterdir())
