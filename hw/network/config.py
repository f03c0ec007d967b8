"""Config: what the hardware of a network is asked to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.network import IntegerNetwork
from golden.support.cli import UserError
from hw.network.folding import Foldings, check_foldings
from hw.plan.config import DEFAULT_NAME, check_name
from hw.plan.made_of import MadeOf
from hw.targets.families import GENERIC, Target


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The hardware of a network as it is asked for.

    Attributes:
        network: what it computes.
        foldings: for each step, elements that it takes and gives a beat.
        target: family whose primitives it is built from.
        pack: whether two products may share a multiplier.
        made_of: what the multiplications of a layer's or linear step are made of, by the step's name; as usual where
            that is not asked for.
        name: name of the top module. Names of all other modules begin with it.

    Raises `UserError` for a folding that a step cannot have, for a step that does not multiply or is not there, and for
    a name that Verilog does not take.
    """

    network: IntegerNetwork
    foldings: Foldings
    target: Target = GENERIC
    pack: bool = True
    made_of: Mapping[str, MadeOf] = field(default_factory=dict)
    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        check_name(self.name)
        check_foldings(self.network, self.foldings)
        allowed = multiplying(self.network)
        for step in self.made_of:
            if step not in allowed:
                raise UserError(
                    f"step {step!r} has no multiplications to choose, those that have are {', '.join(allowed)}"
                )


def multiplying(network: IntegerNetwork) -> list[str]:
    """Names of the steps whose multiplications may be made of one thing or another: layers and linear steps."""
    return [step.name for step in network.steps if isinstance(step, LayerStep | Linear)]
