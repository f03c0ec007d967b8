"""Config: what the hardware of a network is asked to be."""

from __future__ import annotations

from dataclasses import dataclass

from golden.contract.network.network import IntegerNetwork
from hw.network.folding import Foldings, check_foldings
from hw.plan.config import DEFAULT_NAME, check_name
from hw.targets.families import GENERIC, Target


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The hardware of a network as it is asked for.

    Attributes:
        network: what it computes.
        foldings: for each step, elements that it takes and gives a beat.
        target: family whose primitives it is built from.
        pack: whether two products may share a multiplier.
        name: name of the top module. Names of all other modules begin with it.

    Raises `UserError` for a folding that a step cannot have, and for a name that Verilog does not take.
    """

    network: IntegerNetwork
    foldings: Foldings
    target: Target = GENERIC
    pack: bool = True
    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        check_name(self.name)
        check_foldings(self.network, self.foldings)
