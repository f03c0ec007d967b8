"""The engine and its command, with real worker processes: what is repeated, what is lost, and what is said."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from golden.support.cli import UserError
from scripts import study
from scripts.studies import engine
from scripts.studies.catalogue import STUDIES
from scripts.studies.engine import KEEP_MEMORY, local_client, remote_client, run_jobs
from scripts.studies.functions import FUNCTIONS
from scripts.studies.plan import job_of
from scripts.studies.result import Result
from scripts.studies.store import Store
from tests.support.places import ROOT
from tests.support.study_stand_ins import STAND_IN, STUDY, notes, result_of
from tests.support.tiers import nightly, thorough

ONCE = {f"{variant}-{seed}": 1 for variant in ("conv", "inner") for seed in (0, 1, 2)}
#: Seconds that a run of a test takes where another one must be under way.
WAIT = 0.3
TIMEOUT = 60


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", STAND_IN)
    monkeypatch.setitem(STUDIES, STUDY.name, STUDY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


@pytest.fixture(scope="module")
def workers() -> Iterator[Client]:
    """Two worker processes that all tests share."""
    with local_client(2) as client:
        yield client


@pytest.fixture
def shared(workers: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs on `workers`, whatever it is told."""
    address = workers.scheduler.address
    monkeypatch.setattr(study, "local_client", lambda count: remote_client(address, []))


def arguments(folder: Path, *more: str) -> list[str]:
    store = folder.parent / "store.sqlite"
    return [STUDY.name, "--store", str(store), "--set", f'folder="{folder}"', "--workers", "2", *more]


class Watch:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.results: list[Result] = []

    def going(self, content: str, share: float) -> None:
        self.shares.append(share)

    def ended(self, result: Result) -> None:
        self.results.append(result)


# --- what is repeated ---


def test_nothing_is_repeated(folder: Path, shared: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(arguments(folder, "--set", "seed=0,1")) == 0
    assert "4 runs, 0 of them stored before, 0 failed" in capsys.readouterr().out
    assert study.main(arguments(folder)) == 0
    assert "6 runs, 4 of them stored before, 0 failed" in capsys.readouterr().out
    assert study.main(arguments(folder)) == 0
    assert notes(folder) == ONCE


def test_code_that_changed_is_run_again(
    folder: Path, shared: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some = ("--set", "variant=conv")
    assert study.main(arguments(folder, *some)) == 0
    monkeypatch.setattr("scripts.studies.plan.code_version", lambda function: "other")
    assert study.main(arguments(folder, *some, "--any-code")) == 0
    capsys.readouterr()
    assert study.main(arguments(folder, *some)) == 1
    assert "the study has other" in capsys.readouterr().out
    assert notes(folder) == {"conv-0": 1, "conv-1": 1, "conv-2": 1}


def test_dry_run_changes_nothing(
    folder: Path, shared: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.main(arguments(folder, "--dry-run")) == 0
    assert "6 runs, 0 stored, 6 to do: about 6 s on 2 workers" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [folder] and notes(folder) == {}
    assert study.main(arguments(folder, "--set", "seed=0", "--set", "variant=conv")) == 0
    capsys.readouterr()
    assert study.main(arguments(folder, "--dry-run")) == 0
    out = capsys.readouterr().out
    assert re.search(r"6 runs, 1 stored, 5 to do: about \d s on 2 workers", out)
    assert "1 stored, 1 settings differ" in out and "done" in out


# --- what is lost ---


@thorough
def test_killed_worker_costs_the_run_it_was_at(folder: Path) -> None:
    jobs = [job_of(run) for run in STUDY.replaced([f'folder="{folder}"', 'what="die once"', f"wait={WAIT}"]).runs()]
    watch, kept = Watch(), list[Result]()
    with local_client(2) as client:
        results = run_jobs(jobs, client, keep=kept.append, watch=watch)
    assert [result.done for result in results] == [True] * 6
    assert results == kept == watch.results
    assert notes(folder) == {name: 2 if name.endswith("1") else 1 for name in ONCE}


@thorough
def test_run_that_kills_every_worker_is_given_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(arguments(folder, "--set", "what=die", "--set", "variant=conv", "--set", f"wait={WAIT}")) == 1
    out = capsys.readouterr().out
    assert "3 runs, 0 of them stored before, 1 failed" in out
    assert "failed: seed 1: RuntimeError: each worker that tried it died" in out
    assert notes(folder)["conv-0"] == notes(folder)["conv-2"] == 1


def test_run_that_raises_is_named_and_tried_again(
    folder: Path, shared: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for attempt in (1, 2):
        assert study.main(arguments(folder, "--set", "what=raise")) == 1
        out = capsys.readouterr().out
        assert "2 failed" in out and "failed: variant inner, seed 1: ValueError: no such luck" in out
        assert notes(folder) == {name: attempt if name.endswith("1") else 1 for name in ONCE}
    with Store(str(folder.parent / "store.sqlite")) as store:
        assert len(store.of_function("stand_in")) == 4


@nightly
@pytest.mark.parametrize(
    ("kill", "status"),
    [pytest.param(os.kill, -signal.SIGKILL, id="killed"), pytest.param(os.killpg, 130, id="Ctrl-C")],
)
def test_interrupted_study_goes_on(folder: Path, kill: Any, status: int) -> None:
    """A study that is killed, and its workers with it; and one that a terminal interrupts, with all its processes."""
    program = """
import signal, sys
from golden.support import cli
from scripts import study
from tests.support import study_stand_ins
signal.signal(signal.SIGINT, signal.default_int_handler)
study_stand_ins.register()
cli.run(study.main)
"""
    command = [sys.executable, "-c", program, *arguments(folder, "--set", f"wait={WAIT}")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3)]
        kill(process.pid, signal.SIGKILL if status < 0 else signal.SIGINT)
        assert process.wait(TIMEOUT) == status
        assert status < 0 or process.stderr.read() == ""
    assert "6 to do" in lines[0] and lines[2].startswith("2/6 ")
    # What had reached a worker begins.
    time.sleep(WAIT)
    before = notes(folder)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert (again.returncode, again.stderr) == (0, "")
    assert "6 runs" in again.stdout
    stored = int(again.stdout.split(" of them stored before")[0].split(", ")[-1])
    assert stored >= 2
    # What was kept is not repeated; of the others, two were under way.
    assert sum(notes(folder).values()) == 6 + sum(before.values()) - stored


# --- what is said ---


def test_progress_is_told(folder: Path, workers: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job_of(run) for run in STUDY.replaced(["wait=0.6", "seed=0"]).runs()]
    watch = Watch()
    with remote_client(workers.scheduler.address, jobs) as client:
        run_jobs(jobs, client, keep=lambda result: None, watch=watch)
    assert sorted(watch.shares) == [0.0, 0.0, 0.5, 0.5]


def test_result_says_where_it_comes_from(folder: Path, shared: None) -> None:
    assert study.main(arguments(folder, "--set", "seed=2", "--set", "variant=inner")) == 0
    with Store(str(folder.parent / "store.sqlite")) as store:
        (result,) = store.of_function("stand_in")
    assert result.figures["float"] == 91.0
    assert result.settings["variant"] == "inner" and result.settings["bits"] == [8, 4]
    assert result.host == socket.gethostname() and {"python", "numpy", "torch"} <= result.versions.keys()
    assert result.seconds < TIMEOUT and result.finished > "2026"


def refused(argv: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        study.main(argv)
    return str(caught.value)


def test_workers_keep_freed_memory() -> None:
    """Dask has them hand it back at once, which doubles the time of a training."""
    with local_client(1) as client:
        kept = client.run(lambda: {name: os.environ[name] for name in KEEP_MEMORY})
    assert list(kept.values()) == [{name: str(value) for name, value in KEEP_MEMORY.items()}]


def test_unreachable_scheduler(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ANSWER_S", 1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    argv = [argument for argument in arguments(folder) if argument not in ("--workers", "2")]
    begin = time.monotonic()
    assert f"scheduler {address} does not answer within 1 s" in refused([*argv, "--scheduler", address])
    assert time.monotonic() - begin < 5
    for wrong in ("nonsense", "", "ftp://host:1", "host:99999"):
        assert "is no address, allowed is HOST:PORT" in refused([*argv, "--scheduler", wrong])
    assert list(tmp_path.iterdir()) == [folder]


def test_worker_with_other_code_is_refused(workers: Client) -> None:
    job = dataclasses.replace(job_of(STUDY.runs()[0]), code="other")
    with (
        pytest.raises(UserError, match="of the code, here it is other"),
        remote_client(workers.scheduler.address, [job]),
    ):
        pass


def test_data_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    assert "the data set is not here" in refused(arguments(folder, "--set", "what=lack"))
    assert list(tmp_path.iterdir()) == [folder]


def test_dry_run_says_what_is_not_there(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, however many runs need it; not for runs that are stored, and not where workers are elsewhere."""
    lacking = arguments(folder, "--set", "what=lack", "--dry-run")
    assert study.main(lacking) == 0
    out = capsys.readouterr().out
    assert "6 to do" in out and out.count("cannot run here: the data set is not here, a package brings it\n") == 1
    cluster = [argument for argument in lacking if argument not in ("--workers", "2")]
    assert study.main([*cluster, "--scheduler", "host:1"]) == 0
    assert "cannot run" not in capsys.readouterr().out
    with Store(str(tmp_path / "store.sqlite")) as store:
        store.prepare()
        for run in STUDY.replaced(["what=lack", f'folder="{folder}"']).runs():
            store.put(result_of(run))
    assert study.main(lacking) == 0
    out = capsys.readouterr().out
    assert "0 to do" in out and "cannot run" not in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no study is named, allowed are digits, fashion"),
        (["nosuch"], "study 'nosuch' is not one of digits, "),
        ([STUDY.name, "--set", "nosuch=1"], "setting 'nosuch' is unknown"),
        ([STUDY.name, "--workers", "2", "--scheduler", "host:1"], "not allowed with"),
    ],
)
def test_refusals(argv: list[Any], message: str) -> None:
    assert message in refused(argv)


def test_list_has_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}: " in out for name in STUDIES) and "quick: 6 runs." in out
