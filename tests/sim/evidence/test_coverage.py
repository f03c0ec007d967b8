"""Verilator's counts are read, merged and summed up, and only what is checked is excluded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import pytest

from sim.evidence.coverage import (
    COUNTED,
    KINDS,
    MEMORY_WORD,
    UNREACHABLE,
    Point,
    exclusions,
    percent,
    read_points,
    summary,
)
from tests.support.tiers import thorough

#: Two coverage files of one unit: as the top, and inside the bulk bench. \1 and \2 as Verilator separates.
TOP = (
    ("unit.v", 6, 3, "line", "xvolution", "block", 5),
    ("unit.v", 7, 20, "branch", "xvolution", "cond_then", 0),
    ("unit.v", 7, 21, "branch", "xvolution", "cond_else", 2),
    ("unit.v", 3, 9, "toggle", "xvolution.lane_*.part", "delayed__02429[0]:0->1", 0),
)
BULK = (
    ("unit.v", 7, 20, "branch", "bulk.unit", "cond_then", 3),
    ("unit.v", 3, 9, "toggle", "bulk.unit.lane_*.part", "delayed__02429[0]:0->1", 0),
    ("bulk.v", 1, 1, "line", "bulk", "block", 0),
    ("DSP48E1.v", 1, 1, "line", "bulk.unit.DSP48E1", "block", 0),
)
UNIT = r"""module xvolution(input aclk, input en, output [1:0] out, output wide);
  wire dead;
  reg [1:0] count = 0;
  reg [1:0] \odd$name  = 0;
  reg [3:0] memory [1:0];
  assign dead = count == 2'd3;
  assign out = dead ? 2'd0 : count;
  part one (.aclk(aclk), .in(dead));
  part two (.aclk(aclk), .in(en));
  part \3rd (.aclk(aclk), .in(dead));
  assign wide = memory[0][0];
  always @(posedge aclk) begin
    if (dead) \odd$name <= 2'd2;
    if (en) count <= count == 2'd2 ? 2'd0 : count + 2'd1;
  end
endmodule
module part(input aclk, input in);
  reg held = 0;
  always @(posedge aclk) held <= in;
endmodule
"""


def text(records: tuple[tuple[str, int, int, str, str, str, int], ...]) -> str:
    lines = ["# SystemC::Coverage-3"]
    for file, line, column, kind, scope, what, count in records:
        fields = {"f": f"/tmp/x/{file}", "l": line, "n": column, "page": f"v_{kind}/any", "o": what, "h": scope}
        lines.append("C '" + "".join(f"\1{key}\2{value}" for key, value in fields.items()) + f"' {count}")
    return "\n".join(lines) + "\n"


def test_files_of_one_unit_merge() -> None:
    counts = read_points(text(TOP))
    counts.update(read_points(text(BULK)))
    assert [(p.kind, p.what, count) for p, count in counts.items()] == [
        ("line", "block", 5),
        ("branch", "cond_then", 3),
        ("branch", "cond_else", 2),
        ("toggle", "delayed__02429[0]:0->1", 0),
    ]


def test_percent_leaves_out_what_is_excluded_and_nothing_else() -> None:
    counts = {toggle("", f"a[{bit}]:0->1", line=bit): int(bit < 3) for bit in range(6)}
    excluded = {point: UNREACHABLE for point in list(counts)[5:]}
    unit = summary(counts, excluded)
    assert unit.points == {"line": 0, "branch": 0, "toggle": 6} and unit.hit["toggle"] == 3
    assert unit.excluded["toggle"] == {MEMORY_WORD: 0, UNREACHABLE: 1, COUNTED: 0}
    assert unit.missed["toggle"] == [":3 a[3]:0->1", ":4 a[4]:0->1"]
    assert percent([unit, unit], "toggle") == 60.0
    assert {kind: percent([unit], kind) for kind in KINDS} == {"line": 100.0, "branch": 100.0, "toggle": 60.0}


def toggle(scope: str, what: str, *, line: int = 1) -> Point:
    return Point(kind="toggle", scope=scope, line=line, column=1, what=what)


def branch(line: int, what: str) -> Point:
    return Point(kind="branch", scope="", line=line, column=1, what=what)


EXCLUSIONS = {
    "memory word": (toggle("", "memory[0][3]:0->1"), MEMORY_WORD),
    "bit that moves": (toggle("", "count[1]:0->1"), None),
    "value never reached": (toggle("", "dead:0->1"), UNREACHABLE),
    "escaped name": (toggle("", "odd__024name[1]:0->1"), UNREACHABLE),
    "dead in its only instance": (toggle("one", "held:0->1"), UNREACHABLE),
    "dead in one whose name begins with a digit": (toggle("3rd", "held:0->1"), UNREACHABLE),
    "alive in the other": (toggle("two", "held:0->1"), None),
    "dead in one of two": (toggle("*", "held:0->1"), None),
    "no such signal": (toggle("", "nonsense:0->1"), None),
    "way never taken": (branch(7, "cond_then"), UNREACHABLE),
    "way always taken": (branch(7, "cond_else"), None),
    "if never true": (branch(13, "if"), UNREACHABLE),
    "if that may be true": (branch(14, "if"), None),
    "line": (Point(kind="line", scope="", line=6, column=1, what="block"), None),
}


@cache
def excluded() -> Mapping[Point, str]:
    return exclusions(UNIT, [point for point, _ in EXCLUSIONS.values()])


@thorough
@pytest.mark.parametrize(("point", "reason"), EXCLUSIONS.values(), ids=EXCLUSIONS)
def test_exclusion(point: Point, reason: str | None) -> None:
    assert excluded().get(point) == reason


#: A counter that only counts, and one that software may set.
COUNTING = r"""module xvolution(input aclk, input en, input [11:0] at, output late, output any);
  counting frame_sets (.aclk(aclk), .en(en), .load(1'd0), .at(at), .high(late));
  counting control_counters (.aclk(aclk), .en(en), .load(en), .at(at), .high(any));
endmodule
module counting(input aclk, input en, input load, input [11:0] at, output high);
  reg [11:0] counted = 0;
  assign high = counted[11] & at[0];
  always @(posedge aclk) counted <= load ? at : counted + {11'd0, en};
endmodule
"""


@thorough
def test_a_count_is_out_of_reach_only_where_it_takes_a_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.evidence.coverage.COUNTERS", re.compile(r"\w+\.counted"))
    counted = {toggle("frame_sets", "counted[10]:0->1"), toggle("", "late:0->1")}
    others = {
        toggle("frame_sets", "counted[9]:0->1"),
        toggle("control_counters", "counted[10]:0->1"),
        toggle("", "any:0->1"),
    }
    assert exclusions(COUNTING, [*counted, *others]) == dict.fromkeys(counted, COUNTED)
