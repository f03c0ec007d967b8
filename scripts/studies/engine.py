"""Runs on processes of this machine or on a cluster, by means of Dask.

Each run is one task. If a worker dies, the run that it was at is tried again, up to
``distributed.scheduler.allowed-failures`` times (three by default). A run that raises is a failed result.
Each result is kept at once, so that an interrupted study goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from reprlib import repr as brief
from typing import Any, Protocol

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.comm import connect

from golden.support.cli import UserError
from scripts.studies.content import code_version
from scripts.studies.result import FAILED, Result
from scripts.studies.worker import TOPIC, Job, execute

#: Settings of glibc in a worker of this machine. By default Dask has freed memory handed back at once. Each tensor
#: then costs page faults again, and a training takes twice as long.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**30}
#: Settings of Dask. By default it watches its workers fifty times a second, which takes a sixth of a core.
SELDOM = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
#: Seconds within which a scheduler must answer, and within which it must have a worker.
ANSWER_S = 5
ADDRESS = re.compile(r"((tcp|tls)://)?[A-Za-z0-9._-]+:[0-9]{1,5}", re.ASCII)
#: Python that a worker of this machine runs first. Ctrl-C is for the study, which ends its workers itself.
IGNORE_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


class Watch(Protocol):
    """Is told how a study goes on. Its methods are called from more than one thread."""

    def going(self, content: str, share: float) -> None:
        """The run with this content is at ``share`` of its work. A run that begins, perhaps again, is at 0."""

    def ended(self, result: Result) -> None:
        """A run has ended, and its result is kept."""


def run_jobs(jobs: Sequence[Job], client: Client, *, keep: Callable[[Result], object], watch: Watch) -> list[Result]:
    """Do all ``jobs``. ``keep`` gets each result as soon as it is there.

    Raises:
        UserError: if the cluster is lost. Results that had come are kept.
    """
    if not jobs:
        return []

    def heard(event: tuple[float, dict[str, Any]]) -> None:
        watch.going(event[1]["content"], event[1]["share"])

    client.subscribe_topic(TOPIC, heard)
    by_key = {f"{job.function_name}-{job.content}-{job.code}": job for job in jobs}
    # Jobs begin in order, as priority follows the order of submission.
    futures = [client.submit(execute, job, key=key, pure=False) for key, job in by_key.items()]
    results = []
    for future in as_completed(futures):
        results.append(_result(future, by_key[future.key]))
        keep(results[-1])
        watch.ended(results[-1])
        future.release()
    return results


def _result(future: Future, job: Job) -> Result:
    if future.status == "finished":
        return future.result()
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            error = RuntimeError("each worker that tried it died, perhaps out of memory")
        return Result(
            content=job.content,
            code=job.code,
            function=job.function_name,
            status=FAILED,
            settings=job.settings,
            figures=None,
            error="".join(traceback.format_exception(error)),
            seconds=0.0,
            host="",
            versions={},
        )
    raise UserError("the scheduler is lost; what had ended is kept, and the same command goes on from there")


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """A cluster of ``workers`` processes of this machine. Each does one run at a time. They end with the body."""
    _quiet()
    # A worker gets a run only when it is free, so that its death costs no other run.
    options = SELDOM | {"distributed.scheduler.worker-saturation": 1.0, "distributed.worker.daemon": True}
    options |= {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in KEEP_MEMORY.items()}
    with (
        dask.config.set(options),
        tempfile.TemporaryDirectory(prefix="xvolution-") as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            local_directory=scratch,
            preload=[IGNORE_INTERRUPTS],
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def remote_client(address: str, jobs: Sequence[Job]) -> Iterator[Client]:
    """The cluster of the scheduler at ``address``. Its workers must have the code of ``jobs``.

    Raises:
        UserError: if the scheduler does not answer within `ANSWER_S`, has no worker, or has one with other code.
    """
    _quiet()
    if not ADDRESS.fullmatch(address) or int(address.rpartition(":")[2]) >= 2**16:
        raise UserError(
            f"scheduler {brief(address)} is no address, allowed is HOST:PORT, perhaps behind tcp:// or tls://"
        )
    try:
        # A client without a scheduler takes long to give up, and prints messages of its own.
        asyncio.run(_answers(address))
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"scheduler {address} does not answer within {ANSWER_S} s: {reason}") from None
    client = Client(address, timeout=ANSWER_S)
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_S)
        except TimeoutError:
            raise UserError(f"scheduler {address} has no workers, start one: dask worker {address}") from None
        _same_code(client, address, jobs)
        yield client


async def _answers(address: str) -> None:
    """Return if there is a scheduler, or at least something that greets like one. Raises if there is none."""
    comm = await connect(address, timeout=ANSWER_S)
    await comm.close()


def _same_code(client: Client, address: str, jobs: Sequence[Job]) -> None:
    for function, code in {(job.function, job.code) for job in jobs}:
        try:
            found = client.run(code_version, function)
        except Exception as error:
            raise UserError(f"a worker of {address} cannot run this project: {type(error).__name__}: {error}") from None
        for worker, version in found.items():
            if version != code:
                raise UserError(f"worker {worker} has version {version} of the code, here it is {code}")


def _quiet() -> None:
    """Silence Dask's log: results say the same."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
