"""All operations of networks, by the names that network files know them by."""

from __future__ import annotations

from collections.abc import Mapping

from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample

STEPS: Mapping[str, type[Step]] = {
    step.op: step for step in (LayerStep, Add, MaxPool, AvgPool, Linear, Concat, Upsample, Argmax)
}
