"""Batches of images of several networks, on processes of this machine or on a cluster. What a store has is not done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from golden.support.terminal import say, terminal
from scripts.studies.accuracy import Brought, Subject
from scripts.studies.engine import local_client, remote_client, run_jobs
from scripts.studies.live import live
from scripts.studies.places import CORES
from scripts.studies.result import Result
from scripts.studies.store import Store
from scripts.studies.worker import Job


def results_of(
    subjects: Sequence[Subject],
    jobs: Mapping[str, Sequence[Job]],
    store: Store,
    *,
    workers: int | None,
    scheduler: str | None,
    any_code: bool,
) -> dict[str, list[Result]]:
    """The results of all jobs of each subject, by its name and in their order.

    Args:
        subjects: whose images they are.
        jobs: those of each subject, by its name (`scripts.studies.accuracy.jobs_of`).
        store: has some results, and gets the others as they come.
        workers: processes of this machine; None: one for each core.
        scheduler: of a cluster; None: this machine.
        any_code: whether stored results of other versions of the code count.

    Raises:
        UserError: where there is no cluster, or it is lost.
    """
    stored: dict[str, Result] = {}
    for own in jobs.values():
        stored |= store.find([job.content for job in own], None if any_code else own[0].code)
    results = {content: result for content, result in stored.items() if result.done}
    left = {job.content: (name, job) for name, own in jobs.items() for job in own if job.content not in results}
    known = f"{sum(map(len, jobs.values()))} batches, {len(results)} of them stored before"
    if not left:
        say(known)
    else:
        todo = [job for _, job in left.values()]
        with local_client(workers or CORES) if scheduler is None else remote_client(scheduler, todo) as cluster:
            store.prepare()
            say(known)
            for subject in subjects:
                cluster.register_plugin(Brought(subject))
            labels = {content: f"{name}, {images_of(job)}" for content, (name, job) in left.items()}
            with live(terminal(), labels) as watch:
                found = run_jobs(todo, cluster, keep=store.put, watch=watch)
            for subject in subjects:
                cluster.unregister_worker_plugin(Brought(subject).name)
        results |= {result.content: result for result in found}
    return {name: [results[job.content] for job in own] for name, own in jobs.items()}


def images_of(batch: Job | Result) -> str:
    """The images of a batch in words."""
    first, count = batch.settings["first"], batch.settings["count"]
    return f"images {first + 1} to {first + count}"
