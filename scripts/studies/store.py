"""Results of runs, kept in a database: an SQLite file, or a server that a team shares.

A result is found by its content and the version of its code (`scripts.studies.content`). Nothing that was
measured is ever deleted: a new result only takes the place of a failure. A file that is no store is refused,
and stays as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from golden.support.cli import UserError, output_directory
from scripts.studies.result import DONE, FAILED, Result

#: The default place of results.
DEFAULT = "build/studies.sqlite"
#: Seconds to wait for another study that writes to the same file.
PATIENCE_S = 30
#: The most results that one query asks for.
BATCH = 500

_METADATA = sql.MetaData()
_RUNS = sql.Table(
    "xvolution_runs",
    _METADATA,
    sql.Column("content", sql.String(32), primary_key=True),
    sql.Column("code", sql.String(12), primary_key=True),
    sql.Column("function", sql.String(80), nullable=False, index=True),
    sql.Column("status", sql.String(8), nullable=False),
    sql.Column("settings", sql.Text, nullable=False),
    sql.Column("figures", sql.Text, nullable=False),
    sql.Column("error", sql.Text, nullable=False),
    sql.Column("seconds", sql.Float, nullable=False),
    sql.Column("host", sql.String(255), nullable=False),
    sql.Column("versions", sql.Text, nullable=False),
    sql.Column("finished", sql.String(40), nullable=False),
)
_COLUMNS = tuple(column.name for column in _RUNS.columns)
#: Columns that hold JSON.
_JSON = ("settings", "figures", "versions")


class Store:
    """An open store, and a context manager that closes it.

    A store that does not exist yet counts as empty. `prepare` makes it.

    Args:
        place: path of an SQLite file, or a database URL as SQLAlchemy takes it.

    Raises:
        UserError: for a place that cannot be opened, or holds something else.
    """

    def __init__(self, place: str) -> None:
        self._engine: sql.Engine | None = None
        self._ready = False
        # The name goes into messages, so it must not have a password.
        self.name = place.rpartition("@")[2] if "://" in place else place
        with self._told():
            url = sql.make_url(place) if "://" in place else sql.URL.create("sqlite", database=place)
            if "://" in place:
                self.name = url.render_as_string(hide_password=True)
            sqlite = url.get_backend_name() == "sqlite"
            self._path = Path(url.database or "") if sqlite else None
            if sqlite and url.database in (None, "", ":memory:"):
                raise UserError(f"store {place!r} is no file that keeps anything")
            if self._path is not None and self._path.exists() and not self._path.is_file():
                raise UserError(f"store {place} is not a plain file, a file name is needed")
            self._engine = sql.create_engine(url, connect_args={"timeout": PATIENCE_S} if sqlite else {})
            # SQLite would make a missing file just by looking at it.
            if self._path is None or self._path.exists():
                self._check(self._engine)

    def _check(self, engine: sql.Engine) -> None:
        """Raise `UserError` if the database is of something else or of another version, or is damaged."""
        tables = sql.inspect(engine)
        self._ready = tables.has_table(_RUNS.name)
        if not self._ready:
            if engine.dialect.name == "sqlite" and tables.get_table_names():
                raise UserError(f"store {self.name} is a database of something else, it stays as it is")
            return
        different = {column["name"] for column in tables.get_columns(_RUNS.name)} ^ set(_COLUMNS)
        if different:
            raise UserError(f"store {self.name} is of another version, it differs in {', '.join(sorted(different))}")
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                verdict = str(connection.execute(sql.text("PRAGMA quick_check(1)")).scalar())
            if verdict != "ok":
                raise UserError(f"store {self.name} is damaged ({' '.join(verdict.split())}), it stays as it is")

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a database on a server."""
        return self._path

    def prepare(self) -> None:
        """Make the store and its folder if they do not exist yet. Raises `UserError` where that fails."""
        if self._ready:
            return
        if self._path is not None:
            output_directory(self._path.parent)
        existed = self._path is None or os.path.lexists(self._path)
        try:
            with self._told():
                _METADATA.create_all(self._opened())
        except UserError:
            if self._path is not None and not existed:
                self._path.unlink(missing_ok=True)
            raise
        self._ready = True

    def _opened(self) -> sql.Engine:
        if self._engine is None:
            raise UserError(f"store {self.name} is closed")
        return self._engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection to the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def put(self, result: Result) -> None:
        """Keep ``result`` in the store. `prepare` must have been called before.

        A failure with the same content and code is replaced. A result that is done already stays as it was.
        """
        row = {column: getattr(result, column) for column in _COLUMNS}
        row |= {column: json.dumps(row[column], sort_keys=True) for column in _JSON}
        row["finished"] = result.finished or datetime.now(UTC).isoformat(timespec="seconds")
        same = sql.and_(_RUNS.c.content == result.content, _RUNS.c.code == result.code)
        with self._told(), self._opened().begin() as connection:
            connection.execute(sql.delete(_RUNS).where(same, _RUNS.c.status == FAILED))
            if connection.execute(sql.select(_RUNS.c.status).where(same)).first() is None:
                connection.execute(sql.insert(_RUNS).values(row))

    def find(self, contents: Iterable[str], code: str | None) -> dict[str, Result]:
        """Stored results of ``contents``, by content, of the version ``code`` of the code.

        If ``code`` is None, any version counts. Done results are then preferred to failed ones, and later results
        to earlier ones.
        """
        found: dict[str, Result] = {}
        wanted = sorted(set(contents))
        for start in range(0, len(wanted), BATCH):
            which = _RUNS.c.content.in_(wanted[start : start + BATCH])
            for result in self._read(which if code is None else sql.and_(which, _RUNS.c.code == code)):
                old = found.get(result.content)
                if old is None or (old.done, old.finished) <= (result.done, result.finished):
                    found[result.content] = result
        return found

    def of_function(self, name: str) -> list[Result]:
        """All done results of the function called ``name``, of any version of the code."""
        return self._read(sql.and_(_RUNS.c.function == name, _RUNS.c.status == DONE))

    def carry(self, function: str, code: str, to: str) -> int:
        """Make the done results of a function in version ``code`` results of version ``to``. Returns their number.

        Where a content has a result in version ``to`` already, both results stay as they are.
        """
        newer = _RUNS.alias()
        which = sql.and_(_RUNS.c.function == function, _RUNS.c.code == code, _RUNS.c.status == DONE)
        there = sql.exists().where(newer.c.content == _RUNS.c.content, newer.c.code == to)
        with self._told(), self._opened().begin() as connection:
            return connection.execute(sql.update(_RUNS).where(which, ~there).values(code=to)).rowcount

    def _read(self, which: sql.ColumnElement[bool]) -> list[Result]:
        if not self._ready:
            return []
        with self._told(), self._opened().connect() as connection:
            return [self._result(dict(row)) for row in connection.execute(sql.select(_RUNS).where(which)).mappings()]

    def _result(self, row: dict[str, Any]) -> Result:
        try:
            return Result(**(row | {column: json.loads(row[column]) for column in _JSON}))
        except (TypeError, ValueError):
            raise UserError(f"store {self.name} is damaged: result {row['content']} is no JSON") from None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors of the database into a `UserError` of one line."""
        try:
            yield
        except UserError:
            raise
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            raise UserError(f"store {self.name} is no database URL that can be used: {_brief(error)}") from None
        except ModuleNotFoundError as error:
            raise UserError(f"store {self.name} needs the package {error.name}, which is not installed") from None
        except SQLAlchemyError as error:
            raise UserError(f"store {self.name} cannot be used ({_brief(error)}), it stays as it is") from None


def _brief(error: Exception) -> str:
    """The driver's message, without the statement and the links that SQLAlchemy adds."""
    cause = getattr(error, "orig", None)
    return str(cause or error).split("\n")[0]
