"""What a bench is compiled from: the unit, the primitives that it instantiates, the wrapper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from golden.support import cache
from sim.bulk.simulate import BULK
from sim.simulator import program as bench
from sim.simulator.program import Bench, Program
from sim.simulator.simulators import Simulator

UNIT = "module xvolution; DSP48E1 #(.AREG(1)) first (); DSP48E1 second (); MULT18X18D_like third (); endmodule"
PLAIN = Bench(modules=["no.bench"], top="xvolution")


class Recorder(Simulator):
    """Compiles nothing, but remembers the names of its sources."""

    name = "recorder"
    programs: ClassVar = {}

    def __init__(self) -> None:
        self.sources: list[list[str]] = []

    def version(self) -> str:
        return "1"

    def compile(
        self,
        sources: Sequence[str],
        *,
        top: str,
        unit: str,
        parameters: Mapping[str, int],
        waves: bool,
        coverage: bool,
        optimise: bool,
        folder: Path,
    ) -> None:
        self.sources.append(list(sources))

    def wave_arguments(self, name: str) -> list[str]:
        return []


def unit(verilog: str) -> Any:
    """What a program must know of a generated unit."""
    return SimpleNamespace(config=SimpleNamespace(name="xvolution"), verilog=verilog, memories={})


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return Recorder()


def test_only_what_the_unit_names(recorder: Recorder) -> None:
    Program.build(recorder, PLAIN, unit("module xvolution; endmodule"))
    Program.build(recorder, PLAIN, unit(UNIT))
    Program.build(recorder, BULK, unit(UNIT))
    assert recorder.sources == [["unit.v"], ["unit.v", "DSP48E1.v"], ["unit.v", "DSP48E1.v", "bulk.v"]]


def test_compiled_again_after_a_change_of_a_model(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "DSP48E1.v"
    monkeypatch.setattr(bench, "PRIMITIVES", {"DSP48E1": model})
    folders = []
    for text in ("// one", "// one", "// two"):
        model.write_text(text)
        folders.append(Program.build(recorder, PLAIN, unit(UNIT)).folder)
    assert folders[0] == folders[1] != folders[2] and len(recorder.sources) == 2
