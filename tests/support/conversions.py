"""What every source of a conversion is tested for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from golden.convert import compare
from golden.convert.build import build
from golden.convert.rewrite import rewritten
from golden.convert.source import Source
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


def check_refused(convert: Callable[[], object], message: str) -> None:
    """It is refused in one line that says ``message``."""
    with pytest.raises(UserError) as refusal:
        convert()
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
