"""The settings of an experiment: JSON values, their defaults, and every refusal by name.

A setting without effect becomes its default, so that equal experiments have equal settings. The
product has no effect on a plain network. The calibration has none on a run that is not quantised.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch

from golden.contract.layer_config import NEIGHBOURS
from golden.networks.resnet import ARCHITECTURES, BLOCKS, resnet
from golden.networks.variants import FEATURES, KINDS, PLACES, Variant
from golden.operators.network import Network
from golden.operators.xvolution import PRODUCTS, UNSHIFTED
from golden.quantise.calibration import Scales
from golden.support.cli import UserError
from golden.training import TASKS
from golden.training.train import AUGMENTATIONS, OPTIMISERS

#: Widths that weights and activations can be quantised to.
BITS = (2, 8)
#: The directions of four neighbours: above, left, right and below.
CROSS = tuple((dy, dx) for dy, dx in NEIGHBOURS if dy == 0 or dx == 0)
#: Options of X-volution among the settings.
OPERATOR = ("product", "heads", "directions", "shift", "weighting", "stack", "branch_norm")
#: Settings that a plain network does not depend on.
VARIANT = ("stages", "place", *OPERATOR, "zero_init", "features")
#: Settings that ``softmax`` does not depend on: it shifts nothing.
SHIFTS = tuple(UNSHIFTED)
#: Settings that a run without quantisation does not depend on.
QUANTISATION = ("mixed", "edge_bits", "method", "scales", "calibration_images", "check_images")
#: Settings that a run without QAT does not depend on.
QAT = ("qat_epochs", "qat_learning_rate", "qat_batch")
#: Settings that came when there were stored runs without them. At their defaults they are left out, so
#: that the settings of these runs are still the same.
LATER = ("scales",)

Check = Callable[[Any], bool]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting's default, the check of its value, and what is allowed in words."""

    default: Any
    valid: Check
    allowed: str


def _one_of(default: Any, choices: tuple[Any, ...]) -> Setting:
    def valid(value: Any) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in choices)

    return Setting(default=default, valid=valid, allowed="one of " + ", ".join(map(repr, choices)))


def _is_integer(value: Any, low: int, high: float) -> bool:
    return type(value) is int and low <= value <= high


def _integer(default: int, low: int, high: float = math.inf) -> Setting:
    upper = "up" if high == math.inf else f"to {high}"
    return Setting(
        default=default, valid=lambda value: _is_integer(value, low, high), allowed=f"an integer from {low} {upper}"
    )


def _number(default: float, high: float) -> Setting:
    def valid(value: Any) -> bool:
        return type(value) in (int, float) and 0 < value <= high

    return Setting(default=default, valid=valid, allowed=f"a number above 0, up to {high}")


def _list(default: list[Any], valid: Check, allowed: str) -> Setting:
    def valid_list(value: Any) -> bool:
        return isinstance(value, list) and all(map(valid, value)) and len(set(map(str, value))) == len(value)

    return Setting(default=default, valid=valid_list, allowed=f"a list, no entry twice, of {allowed}")


def _optional(setting: Setting, default: Any = None) -> Setting:
    return Setting(
        default=default,
        valid=lambda value: value is None or setting.valid(value),
        allowed=f"null or {setting.allowed}",
    )


def _are_directions(value: Any) -> bool:
    if type(value) is int:
        return value in (4, 8)
    pairs = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(_is_integer(d, -3, 3) for d in pair) for pair in value
    )
    return pairs and len(value) > 0 and len({tuple(pair) for pair in value}) == len(value)


def _is_mixed(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and _is_integer(bits, *BITS) for name, bits in value.items()
    )


_bits_list = _list([], lambda value: _is_integer(value, *BITS), f"integers from {BITS[0]} to {BITS[1]}")
_text = Setting(default=None, valid=lambda value: isinstance(value, str) and value != "", allowed="a path")

#: Every setting by name.
SETTINGS: dict[str, Setting] = {
    # What the images are.
    "task": _one_of("digits", tuple(TASKS)),
    "data_path": _optional(_text),
    "image_side": _integer(64, 8, 512),
    "train_images": _optional(_integer(1, 1)),
    "validation_images": _optional(_integer(1, 1)),
    "test_images": _optional(_integer(1, 1)),
    "subset_seed": _integer(0, 0, 2**32 - 1),
    "split": _one_of("validation", ("validation", "test")),
    # What the network is.
    "depth": _one_of(8, tuple(ARCHITECTURES)),
    "block": _one_of("post", BLOCKS),
    "variant": _one_of("conv", KINDS),
    "stages": _list([3], lambda value: _is_integer(value, 1, 4), "integers from 1 to 4"),
    "place": _one_of("both", PLACES),
    "product": _one_of("hadamard", (*PRODUCTS, "softmax")),
    "heads": _optional(_integer(1, 1, 4096)),
    "directions": Setting(
        default=8, valid=_are_directions, allowed="4, 8 or a list of different [dy, dx] from -3 to 3"
    ),
    "shift": _integer(1, 1, 3),
    "weighting": _one_of(1, (1, 3)),
    "stack": _integer(1, 1, 16),
    "branch_norm": _one_of(True, (True, False)),
    "zero_init": _one_of(False, (True, False)),
    "features": _one_of("relu", FEATURES),
    # How it is trained.
    "seed": _integer(0, 0, 2**32 - 1),
    "data_seed": _optional(_integer(0, 0, 2**32 - 1)),
    "epochs": _integer(3, 1, 10_000),
    "batch": _integer(64, 2, 65_536),
    "learning_rate": _number(0.01, 10.0),
    "optimiser": _one_of("adamw", OPTIMISERS),
    "weight_decay": _number(0.02, 1.0),
    "augment": _list([], lambda value: value in AUGMENTATIONS, " and ".join(AUGMENTATIONS)),
    # How it is quantised.
    "bits": _bits_list,
    "qat_bits": _bits_list,
    "mixed": Setting(default={}, valid=_is_mixed, allowed="an object of layer names and their bits, 2 to 8"),
    "edge_bits": _optional(_integer(8, *BITS), default=8),
    "method": _one_of("mse", ("minmax", "mse")),
    "scales": _one_of("float", get_args(Scales)),
    "calibration_images": _integer(64, 1, 100_000),
    "check_images": _integer(200, 1, 100_000),
    "qat_epochs": _integer(1, 1, 10_000),
    "qat_learning_rate": _number(0.001, 10.0),
    "qat_batch": _integer(64, 2, 65_536),
}


def check_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of an experiment, in a fixed order. Settings that are not given have their defaults.

    A setting without effect on the figures becomes its default. No data set is looked at.

    Raises:
        UserError: naming a key or value, and what is allowed; and for settings that do not go
            together, such as ``bits`` and a product that cannot be quantised.
    """
    for name in settings:
        if name not in SETTINGS:
            raise UserError(f"setting {name!r} is unknown, allowed are {', '.join(SETTINGS)}")
    checked = {name: settings.get(name, setting.default) for name, setting in SETTINGS.items()}
    for name, setting in SETTINGS.items():
        if not setting.valid(checked[name]):
            raise UserError(f"setting {name} {checked[name]!r} is not allowed, allowed is {setting.allowed}")
    if checked["variant"] != "conv" and not checked["stages"]:
        raise UserError(f"setting stages [] is not for variant {checked['variant']!r}, allowed is at least one stage")
    for name in _without_effect(checked):
        checked[name] = SETTINGS[name].default
    checked["data_seed"] = checked["seed"] if checked["data_seed"] is None else checked["data_seed"]
    for name in ("stages", "bits", "qat_bits", "augment"):
        checked[name] = sorted(checked[name])
    _check_together(checked)
    for name in ("learning_rate", "weight_decay", "qat_learning_rate"):
        checked[name] = float(checked[name])
    for name in LATER:
        if checked[name] == SETTINGS[name].default:
            del checked[name]
    return copy.deepcopy(checked)


def build_network(settings: Mapping[str, Any], in_channels: int, outputs: int) -> Network:
    """The network that checked ``settings`` describe, with freshly drawn weights."""
    return resnet(
        settings["depth"],
        in_channels=in_channels,
        outputs=outputs,
        block=settings["block"],
        variant=_variant(settings),
    )


def _variant(settings: Mapping[str, Any]) -> Variant:
    if settings["variant"] == "conv":
        return Variant()
    options = {name: settings[name] for name in OPERATOR}
    directions = {4: CROSS, 8: NEIGHBOURS}
    if type(options["directions"]) is int:
        options["directions"] = directions[options["directions"]]
    return Variant(
        kind=settings["variant"],
        stages=frozenset(settings["stages"]),
        place=settings["place"],
        options=options,
        zero_init=settings["zero_init"],
        features=settings["features"],
    )


def _without_effect(settings: Mapping[str, Any]) -> list[str]:
    """Names of settings that change nothing, given the others."""
    names: list[str] = []
    if settings["variant"] == "conv":
        names += VARIANT
    if settings["variant"] == "wide":
        names += ["zero_init", "features"]
    if settings["product"] == "softmax":
        names += SHIFTS
    if settings["task"] != "image_folder":
        names += ["image_side"]
    if not settings["bits"] and not settings["qat_bits"]:
        names += QUANTISATION
    if not settings["qat_bits"]:
        names += QAT
    return names


def _check_together(settings: Mapping[str, Any]) -> None:
    # Parameters on the device "meta" have shapes, but take no memory and no random numbers.
    with torch.device("meta"):
        network = build_network(settings, in_channels=1, outputs=2)
    for name in settings["mixed"]:
        if name not in network.parts:
            raise UserError(f"setting mixed names layer {name!r}, allowed are {', '.join(network.parts)}")
    quantised = settings["bits"] or settings["qat_bits"]
    if quantised and settings["variant"] == "xvolution":
        if settings["product"] not in PRODUCTS:
            choices = ", ".join(map(repr, PRODUCTS))
            raise UserError(
                f"setting product {settings['product']!r} has no integer form, with bits or qat_bits allowed: {choices}"
            )
        reach = settings["shift"] * max(abs(d) for offset in _variant(settings).options["directions"] for d in offset)
        if reach > 3:
            raise UserError(f"setting shift {settings['shift']} reaches {reach} pixels, integer layers reach 3")
