"""Many images, batch by batch: the same as all at once, and each step alone is off by its own difference only."""

from __future__ import annotations

import numpy as np
import pytest

from golden.convert import measure as measuring
from golden.convert.convert import convert
from golden.convert.measure import measure
from golden.convert.source import open_source
from golden.model.network.steps import RUN
from tests.support.onnx_models import classifier, images
from tests.support.places import ROOT

FLOAT_SCALES = ROOT / "tests" / "golden" / "convert" / "brevitas" / "int8_float.onnx"


def test_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    source, frames = classifier("n"), images(20)
    converted = convert(source, frames, bits=2)
    monkeypatch.setattr(measuring, "BATCH", 8)
    done: list[int] = []
    opened = open_source(source, frames)
    labels = opened.values(frames)["y"].argmax(axis=1)
    labels[:3] = 9
    found = measure(converted, opened, frames.astype(np.float64), labels, done.append)
    assert done == [8, 8, 4] and found.images == 20 and found.source == 17
    assert found.changed == round(20 * (converted.changed or 0)) > 0
    assert found.integers <= 20 - 3 and found.integers >= 17 - found.changed
    before = [gap for name, gap in converted.differences.items() if name != converted.network.output]
    assert found.together.steps == max(gap.steps for gap in before)
    assert (found.alone.elements, found.alone.part) == (0, 0)


def test_a_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that is wrong everywhere is off by itself. Together, what takes it is off, too."""
    frames = images(10, (2, 6, 6)).astype(np.float64)
    converted, source = convert(FLOAT_SCALES), open_source(str(FLOAT_SCALES), None)
    right = measure(converted, source, frames, np.zeros(10))
    assert right.alone.steps <= 1.001 and right.alone.part < 0.001
    add, adder = RUN["add"], next(step for step in converted.network.steps if step.op == "add")
    monkeypatch.setitem(RUN, "add", lambda step, taken: add(step, taken) ^ 1)
    wrong = measure(converted, source, frames, np.zeros(10))
    result = converted.network.results[adder.name]
    size = 10 * result.channels * result.height * result.width
    assert abs(wrong.alone.unequal - right.alone.unequal - size) <= right.alone.unequal
    assert wrong.together.unequal > right.together.unequal + size
