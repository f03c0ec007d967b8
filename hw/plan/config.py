"""Config: what a unit is asked to be, in one object from the command line to the simulation.

`hw.plan.sizes` has what follows from a config. `hw.plan.config_file` has its text form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.support.cli import UserError
from golden.support.names import MAX_NAME, MAX_PART_NAME, module_name
from hw.plan.made_of import USUAL, MadeOf
from hw.plan.reload import Reload
from hw.targets.families import GENERIC, PRIMITIVES, TARGETS, Target

DEFAULT_NAME = "xvolution"


@dataclass(frozen=True, kw_only=True)
class UnitConfig:
    """A unit as it is asked for.

    Attributes:
        layer: what the unit computes. A reloadable unit takes only the layer's config: the largest
            frame and the number formats. The arrays come at run time.
        folding: channels that the unit takes and gives at once.
        target: family whose primitives the unit is built from.
        pack: whether two products may share a multiplier.
        reload: what software may change at run time; None for a frozen unit.
        made_of: what its multiplications are made of.
        name: name of the top module. Names of inner modules, of files and of C macros begin with it. That of a
            network's unit is longer than one that a user chooses.

    Raises `UserError` for a name that Verilog does not take, for shifts of the layer beyond the limits in ``reload``,
    for a reloadable unit whose multiplications are made of adders, and for products of adders on a target without DSPs.
    """

    layer: Layer
    folding: Folding
    target: Target = GENERIC
    pack: bool = True
    reload: Reload | None = None
    made_of: MadeOf = USUAL
    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        check_name(self.name, MAX_PART_NAME)
        if self.made_of.products == "adders" and self.target.a_bits is None:
            asked = f"products 'adders' are for a target with DSPs, {self.target.name} leaves products to synthesis"
            raise UserError(
                f"{asked}; those with DSPs are {', '.join(name for name, t in TARGETS.items() if t.a_bits)}"
            )
        if self.reload is None:
            return
        for name, material in self.made_of.asked.items():
            if material != "dsp":
                raise UserError(f"{name} {material!r} is for a frozen unit, a reloadable one has 'dsp'")
        for name, limits in (("attn_shift", self.reload.attn_shift), ("out_shift", self.reload.out_shift)):
            value = getattr(self.layer.config, name)
            if not limits.low <= value <= limits.high:
                allowed = f"{limits.low} to {limits.high}"
                raise UserError(f"{name} {value} of the layer is not among those of the unit, {allowed}")

    @property
    def limits(self) -> Reload:
        """What software may change. Only a reloadable unit has it."""
        assert self.reload is not None, "nothing of a frozen unit changes at run time"
        return self.reload

    def of_layer(self, layer: Layer) -> UnitConfig:
        """This config with another layer."""
        return replace(self, layer=layer)


def check_name(name: str, most: int = MAX_NAME) -> str:
    """``name``, if a Verilog module can bear it everywhere. Raises `UserError` otherwise."""
    if module_name(name, most) in PRIMITIVES:
        raise UserError(f"name {name!r} is that of an FPGA's primitive, allowed is any other identifier")
    return name
