"""The store: what is kept, what is found again, and that nothing that is no store is touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from golden.support.cli import UserError
from scripts.studies.result import DONE, FAILED, Result
from scripts.studies.store import BATCH, Store


def result(content: str = "a", code: str = "1", status: str = DONE, seconds: float = 1.0, finished: str = "") -> Result:
    return Result(
        content=content,
        code=code,
        function="f",
        status=status,
        settings={"seed": 0, "bits": [8]},
        figures={"accuracy": 87.5} if status == DONE else None,
        error="" if status == DONE else "Traceback\nValueError: no\n",
        seconds=seconds,
        host="here",
        versions={"numpy": "2"},
        finished=finished,
    )


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "new" / "store.sqlite")


def test_what_is_put_is_found_by_another(place: str) -> None:
    with Store(place) as store:
        store.prepare()
        store.put(result(finished="2026-01-01"))
    with Store(place) as store:
        assert store.find(["a", "b"], "1") == {"a": result(finished="2026-01-01")}
        assert store.find(["b"], "1") == {} and store.of_function("g") == []
        assert store.of_function("f") == [result(finished="2026-01-01")]


def test_other_code_is_another_result(place: str) -> None:
    with Store(place) as store:
        store.prepare()
        store.put(result(code="1", finished="2026-01-01"))
        store.put(result(code="2", finished="2026-01-03", status=FAILED))
        store.put(result(code="3", finished="2026-01-02"))
        assert store.find(["a"], "4") == {}
        assert store.find(["a"], None)["a"].code == "3"


def test_done_stays_and_failed_does_not(place: str) -> None:
    with Store(place) as store:
        store.prepare()
        store.put(result(status=FAILED))
        assert store.find(["a"], "1")["a"].complaint == "ValueError: no"
        assert store.of_function("f") == []
        store.put(result(seconds=2.0))
        store.put(result(seconds=3.0))
        store.put(result(status=FAILED))
        assert store.find(["a"], "1")["a"].seconds == 2.0


def test_more_than_a_query_takes(place: str) -> None:
    contents = [f"{number:032}" for number in range(BATCH + 2)]
    with Store(place) as store:
        store.prepare()
        for content in contents[::BATCH]:
            store.put(result(content))
        assert set(store.find(contents, "1")) == set(contents[::BATCH])


def test_looking_makes_no_file(place: str, tmp_path: Path) -> None:
    with Store(place) as store:
        assert store.find(["a"], "1") == {} and store.of_function("f") == []
    with Store(f"sqlite:///{tmp_path}/other") as store:
        assert store.find(["a"], "1") == {}
    assert list(tmp_path.iterdir()) == []


def test_a_url_is_the_same_store(place: str) -> None:
    Path(place).parent.mkdir()
    with Store(f"sqlite:///{place}") as store:
        store.prepare()
        store.put(result())
    with Store(place) as store:
        assert "a" in store.find(["a"], "1")


def damaged(path: Path) -> None:
    """A real store with a page in its middle overwritten."""
    with Store(str(path)) as store:
        store.prepare()
        for number in range(100):
            store.put(result(str(number)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(content)


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


def older(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE xvolution_runs (content TEXT, code TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no database at all"), "cannot be used (file is not a database), it stays"),
        (damaged, "damaged"),
        (foreign, "is a database of something else, it stays as it is"),
        (older, "is of another version, it differs in error, figures, finished"),
        (lambda path: path.mkdir(), "is not a plain file"),
    ],
    ids=["no database", "damaged", "foreign", "older", "folder"],
)
def test_what_is_no_store_stays_as_it_is(make: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    assert callable(make)
    make(path)
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(UserError) as caught, Store(str(path)) as store:
        store.find(["a"], "1")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert before is None or path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_store_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """The name is right, but one with what SQLite appends is too long."""
    with Store(str(tmp_path / ("x" * 250))) as store, pytest.raises(UserError, match="unable to open database file"):
        store.prepare()
    assert list(tmp_path.iterdir()) == []


def test_result_that_is_no_json(place: str) -> None:
    with Store(place) as store:
        store.prepare()
        store.put(result())
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE xvolution_runs SET figures = '{'")
    connection.close()
    with Store(place) as store, pytest.raises(UserError, match="is damaged: result a is no JSON"):
        store.find(["a"], "1")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nosuch://host/base", "is no database URL that can be used"),
        ("postgresql://me:secret@host/base", "needs the package psycopg"),
        ("postgresql://host:port/base", "is no database URL that can be used"),
        ("://", "is no database URL that can be used"),
        ("postgre:/me:secret@://", "is no database URL that can be used"),
        ("", "'' is no file that keeps anything"),
        ("sqlite://", "'sqlite://' is no file that keeps anything"),
    ],
)
def test_places_that_are_refused(place: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Store(place)
    assert message in str(caught.value) and "secret" not in str(caught.value)
