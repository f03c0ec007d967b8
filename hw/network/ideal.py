"""Ideal cycles: those of a frame of each step where none is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from golden.contract.folding import Folding
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from hw.plan.geometry import Geometry


def _layer(step: LayerStep, taken: list[Result], given: Result, folding: Folding) -> int:
    return Geometry(config=step.layer.config, folding=folding).ideal_frame_cycles


def _linear(step: Linear, taken: list[Result], given: Result, folding: Folding) -> int:
    products = step.weight.size // (folding.simd * folding.pe)
    return max(_elements(taken[0]) // folding.simd, products, given.channels // folding.pe)


def _add(step: Add, taken: list[Result], given: Result, folding: Folding) -> int:
    return _elements(given) // folding.pe


def _moved(step: Step, taken: list[Result], given: Result, folding: Folding) -> int:
    return max(sum(map(_elements, taken)) // folding.simd, _elements(given) // folding.pe)


#: The ideal cycles of each op.
IDEAL: Mapping[str, Callable[[Any, list[Result], Result, Folding], int]] = {
    LayerStep.op: _layer,
    Add.op: _add,
    MaxPool.op: _moved,
    AvgPool.op: _moved,
    Linear.op: _linear,
    Concat.op: _moved,
    Upsample.op: _moved,
    Argmax.op: _moved,
}


def ideal_cycles(network: IntegerNetwork, step: Step, folding: Folding) -> int:
    """Cycles of a frame of ``step`` where none is lost."""
    taken = [network.results[name] for name in step.inputs]
    return IDEAL[step.op](step, taken, network.results[step.name], folding)


def _elements(result: Result) -> int:
    return result.channels * result.height * result.width
