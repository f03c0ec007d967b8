"""What the regression exercises of a unit's Verilog, and why the rest cannot be exercised.

Verilator counts how often each line ran, each branch was taken, and each bit of each signal rose and fell.
A *point* is a thing that it counts. A point that never ran is *excluded* only for one of `REASONS`, which
is checked for this very point. All other points that never ran are *missed*, and named.

A branch is one way of an ``if`` or a ``?:``. The text has many ``?:``, because all combinational logic is
assignments. A point in a module with several instances counts once, for all instances together.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.evidence.gates import Gates, read_gates
from sim.evidence.unreachable import Claim, never, never_becomes, proven
from sim.simulator.program import UNIT_FILE

KINDS = ("line", "branch", "toggle")
#: What the regression must reach, in percent.
GOALS = {"line": 100.0, "branch": 100.0, "toggle": 98.0}
#: Why a point that never ran is excluded.
MEMORY_WORD = "a word of a memory: what is written to it and read from it are signals, which count"
UNREACHABLE = (
    "unreachable, proven by induction over the unit's gates with all inputs free (sim/evidence/unreachable.py)"
)
COUNTED = (
    "needs a count of 1,024 frames, cycles or elements in a 32-bit counter that software reads, proven as the last, "
    "with the counter's upper bits at 0; that these are set by a carry only is proven, too"
)
REASONS = (MEMORY_WORD, UNREACHABLE, COUNTED)
#: Registers that count events, and the first of their bits that the regression need not reach.
COUNTERS = re.compile(r"control\.counters\.total_\w+|frame_sets\.counted")
COUNTER_BITS = 10

_RECORD = re.compile(r"C '(.*)' (\d+)")
_TOGGLE = re.compile(r"(?P<name>.*?)(?P<index>(\[\d+\])*):[01]->(?P<value>[01])")
_CONDITION = re.compile(r"(?:= |if \()(?P<not>!?)(?P<name>\\\S+ |\w+)(?:\[(?P<bit>\d+)\])?(?: \?|\))")
#: Verilator's names for the ways of a branch, and the value of the condition that each way is for.
_WAYS = {"cond_then": 1, "cond_else": 0, "if": 1, "else": 0}


@dataclass(frozen=True, kw_only=True)
class Point:
    """Something that Verilator counts.

    Attributes:
        kind: one of `KINDS`.
        scope: the instance that the point is in; ``*`` in it stands for any text.
        line, column: its place in the unit's Verilog.
        what: Verilator's comment: for a toggle the bit and its direction, for a branch the way.
    """

    kind: str
    scope: str
    line: int
    column: int
    what: str


@dataclass(frozen=True, kw_only=True)
class UnitCoverage:
    """Coverage of one unit. All mappings are by kind.

    Attributes:
        points: number of points.
        hit: number of points that ran.
        excluded: number of points that are excluded for each of `REASONS`.
        missed: names of the points that neither ran nor are excluded.
    """

    points: Mapping[str, int]
    hit: Mapping[str, int]
    excluded: Mapping[str, Mapping[str, int]]
    missed: Mapping[str, list[str]]


def read_points(text: str) -> Counter[Point]:
    """The counts of the unit's points in ``text``, a ``coverage.dat`` of Verilator."""
    counts: Counter[Point] = Counter()
    for record in _RECORD.finditer(text):
        fields = dict(field.split("\2", 1) for field in record[1].split("\1") if field)
        if Path(fields["f"]).name != UNIT_FILE:
            continue
        point = Point(
            kind=fields["page"].split("/")[0].removeprefix("v_"),
            # A unit is the top module in one bench and an instance in another.
            scope=re.sub(r"^(bulk\.unit|xvolution)\.?", "", fields["h"]),
            line=int(fields["l"]),
            column=int(fields["n"]),
            what=fields["o"],
        )
        counts[point] += int(record[2])
    return counts


def open_points(counts: Mapping[Point, int]) -> set[Point]:
    """The points that never ran."""
    return {point for point, count in counts.items() if not count}


def summary(counts: Mapping[Point, int], reasons: Mapping[Point, str]) -> UnitCoverage:
    """The coverage that ``counts`` give, where the points in ``reasons`` are excluded."""
    missed = sorted(open_points(counts) - reasons.keys(), key=lambda point: (point.line, point.column, point.what))
    return UnitCoverage(
        points={kind: sum(point.kind == kind for point in counts) for kind in KINDS},
        hit={kind: sum(point.kind == kind and count > 0 for point, count in counts.items()) for kind in KINDS},
        excluded={
            kind: {why: sum(p.kind == kind and r == why for p, r in reasons.items()) for why in REASONS}
            for kind in KINDS
        },
        missed={kind: [f"{p.scope}:{p.line} {p.what}" for p in missed if p.kind == kind] for kind in KINDS},
    )


def percent(units: Iterable[UnitCoverage], kind: str) -> float:
    """Coverage of all ``units`` together: of the points that are not excluded, the percentage that ran."""
    units = list(units)
    hit = sum(unit.hit[kind] for unit in units)
    counted = sum(unit.points[kind] - sum(unit.excluded[kind].values()) for unit in units)
    return 100 * hit / counted if counted else 100.0


def exclusions(verilog: str, points: Iterable[Point]) -> dict[Point, str]:
    """The points for which one of `REASONS` holds, with that reason."""
    points = list(points)
    found = {point: MEMORY_WORD for point in points if _is_memory_word(point)}
    left = [point for point in points if point not in found]
    if left:
        claims = _Claims(verilog)
        carries = claims.about_counters()
        sufficient = {point: claims.about(point) for point in left}
        wanted = dict.fromkeys(claim for choices in sufficient.values() for group in choices for claim in group)
        sure = proven(claims.gates, [*wanted, *carries])
        found |= {point: UNREACHABLE for point in left if _follows(sufficient[point], sure)}
        upper = {bit: 0 for claim, bit in carries.items() if claim in sure}
        if upper:
            sure = proven(claims.gates, wanted, fixed=upper)
            found |= {p: COUNTED for p in left if p not in found and _follows(sufficient[p], sure)}
    return found


def _follows(sufficient: list[list[Claim]], sure: set[Claim]) -> bool:
    """Whether each instance has a claim in ``sure``, among those in ``sufficient`` of which one is enough."""
    return bool(sufficient) and all(any(claim in sure for claim in group) for group in sufficient)


def _is_memory_word(point: Point) -> bool:
    match = _TOGGLE.fullmatch(point.what) if point.kind == "toggle" else None
    return match is not None and match["index"].count("[") > 1


class _Claims:
    """The claims that have to be proven so that a point is unreachable."""

    def __init__(self, verilog: str) -> None:
        self.gates: Gates = read_gates(verilog)
        self._lines = verilog.splitlines()
        self._scopes = {name.rpartition(".")[0] for name in self.gates.signals}
        self._matching: dict[str, list[str]] = {}

    def about(self, point: Point) -> list[list[Claim]]:
        """For each instance, the claims of which one is enough; empty where nothing is known about the point."""
        if point.kind == "toggle" and (match := _TOGGLE.fullmatch(point.what)):
            bit = int(match["index"].strip("[]") or 0)
            value = int(match["value"])
            bits = self._bits(point.scope, _plain(match["name"]), bit)
            return [[never_becomes(b, value), never(b, value), never(b, 1 - value)] for b in bits]
        condition = _CONDITION.search(self._lines[point.line - 1])
        if point.kind == "branch" and condition and point.what in _WAYS:
            value = _WAYS[point.what] ^ bool(condition["not"])
            name = condition["name"].strip().removeprefix("\\")
            return [[never(b, value)] for b in self._bits(point.scope, name, int(condition["bit"] or 0))]
        return []

    def about_counters(self) -> dict[Claim, int]:
        """Claims that only a carry sets an upper bit of a counter, with the bit that each is about."""
        return {
            Claim(now=((below, 0), (bit, 0)), then=((bit, 1),)): bit
            for name, bits in self.gates.signals.items()
            if COUNTERS.fullmatch(name)
            for below, bit in itertools.pairwise(bits[COUNTER_BITS - 1 :])
            if isinstance(bit, int)
        }

    def _bits(self, scope: str, name: str, index: int) -> list[int | str]:
        """Bit ``index`` of the signal ``name`` in each instance of ``scope``."""
        names = [f"{place}.{name}" if place else name for place in self._instances(scope)]
        return [self.gates.signals[signal][index] for signal in names if signal in self.gates.signals]

    def _instances(self, scope: str) -> list[str]:
        """The instances that the pattern ``scope`` stands for, in order."""
        if scope not in self._matching:
            pattern = re.compile(re.escape(scope).replace(r"\*", ".*"))
            self._matching[scope] = sorted(filter(pattern.fullmatch, self._scopes))
        return self._matching[scope]


def _plain(name: str) -> str:
    """``name`` with the characters that Verilator replaced because C++ does not allow them."""
    return re.sub(r"__0([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), name)
