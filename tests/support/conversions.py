"""What every source of a conversion is tested for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from golden.convert import compare
from golden.convert.build import build
from golden.convert.convert import Conversion
from golden.convert.exact import build_exact
from golden.convert.rewrite import rewritten
from golden.convert.source import Source
from golden.model.network.steps import RUN
from golden.operators.network import Network
from golden.support.cli import UserError

#: How far floats of 32 bits may be off sums in 64.
CLOSE = 1e-5


def check_equal(source: Source, x: np.ndarray, wanted: np.ndarray | None = None) -> Network:
    """The float network of ``source``, every step of which is what the source computes there.

    ``wanted`` is what its last step must give, too.
    """
    built = build(rewritten(source.graph))
    values = source.values(x)
    own = {name: value.detach().numpy() for name, value in built.network.values(torch.from_numpy(x).double()).items()}
    compared = [(name, node.name) for name, node in built.nodes.items() if node.name in values]
    last = built.network.steps[-1].name
    assert last in dict(compared)
    for name, source_name in (*compared, (last, source.graph.output)):
        check_close(own[name], values[source_name], name)
    if wanted is not None:
        check_close(own[last], wanted, last)
    return built.network


def check_close(own: np.ndarray, wanted: np.ndarray, name: str) -> None:
    assert compare.largest_part(own.reshape(wanted.shape), wanted) < CLOSE, name


def check_exact(converted: Conversion, but: Sequence[str] = ()) -> None:
    """Every step is bit for bit what the source's runtime gives, and was compared, ``but`` those that it lacks."""
    assert {*converted.differences, *but} == {"input", *(step.name for step in converted.network.steps)}
    assert {gap.steps for gap in converted.differences.values()} == {0}
    assert converted.changed in (0, None)


def steps_off(source: Source, x: np.ndarray) -> dict[str, np.ndarray]:
    """How far each result is from the source's, in steps, where each step takes what it takes from the source.

    What the source does not have, the network's own steps give.
    """
    exact, values = build_exact(rewritten(source.graph)), source.values(x)
    named = {step: values[node.name] for step, node in exact.nodes.items() if node.name in values}
    wanted = {step: np.rint(own / abs(exact.held[step].scale)) for step, own in named.items()}
    integers: dict[str, np.ndarray] = {}
    for step, own in wanted.items():
        held = exact.held[step]
        shaped = own.reshape(len(x), *exact.network.results[step].shape)
        integers[step] = (shaped * np.sign(held.scale) + held.zero).astype(np.int64)
    off = {}
    for step in exact.network.steps:
        made = RUN[step.op](step, [integers[name] for name in step.inputs])
        if step.name in integers:
            off[step.name] = np.abs(made - integers[step.name])
        integers.setdefault(step.name, made)
    return off


def check_refused(convert: Callable[[], object], message: str) -> None:
    """It is refused in one line that says ``message``."""
    with pytest.raises(UserError) as refusal:
        convert()
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
