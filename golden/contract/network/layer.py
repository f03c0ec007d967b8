"""``layer``: a layer of the contract as a step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any, ClassVar, Self

import numpy as np

from golden.contract.costs import useful_macs
from golden.contract.fields import LayerError, check_header
from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.contract.layer_file import ARRAYS, narrow_arrays
from golden.contract.network.result import Result
from golden.contract.network.step import Header, Read, Step

#: Fields of a layer that a network's steps say themselves, by their ``scale``.
_SCALES = ("in_scale", "out_scale")


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerStep(Step):
    """A convolution with attention (`golden.contract.layer`).

    Attributes:
        layer: its config and arrays. ``in_scale`` and ``out_scale`` of its config repeat the scales of the
            steps around it.
    """

    layer: Layer

    op: ClassVar[str] = "layer"
    taken_bits: ClassVar[tuple[int, int]] = (2, 8)
    array_names: ClassVar[tuple[str, ...]] = ARRAYS

    def result(self, taken: Sequence[Result]) -> Result:
        c = self.layer.config
        (x,) = taken
        for name, wanted in _of_taken(x).items():
            if getattr(c, name) != wanted:
                raise LayerError(f"{name} {getattr(c, name)} of the layer is not that of what it takes, {wanted}")
        if c.out_scale != self.scale:
            raise LayerError(f"out_scale {c.out_scale} of the layer is not the step's scale, {self.scale}")
        return Result(
            channels=c.out_channels,
            height=c.out_height,
            width=c.out_width,
            bits=c.out_bits,
            signed=c.out_signed,
            scale=self.scale,
        )

    @property
    def macs(self) -> int:
        return useful_macs(self.layer.config)

    @property
    def weights(self) -> int:
        return self.layer.conv_weight.size + self.layer.attn_weight.size

    def arrays(self) -> dict[str, np.ndarray]:
        return narrow_arrays(self.layer)

    def own_fields(self) -> dict[str, Any]:
        fields = json.loads(self.layer.config.to_json())
        return {"config": {k: v for k, v in fields.items() if k not in ("format", *_SCALES)}}

    @classmethod
    def from_file(
        cls, common: Mapping[str, Any], own: Mapping[str, Any], taken: Sequence[Result], header: Header, read: Read
    ) -> Self:
        fields = own.get("config")
        if set(own) != {"config"} or not isinstance(fields, dict):
            raise LayerError(f"its own fields are {brief(dict(own))}, a layer has one, config, a JSON object")
        for name in _SCALES:
            if name in fields:
                raise LayerError(f"config field {name} is not for a layer in a network, its steps have scale instead")
        (x,) = taken
        config = LayerConfig.from_fields(fields)
        config = dataclasses.replace(config, in_scale=x.scale, out_scale=common.get("scale"))
        for name, wanted in config.array_shapes.items():
            check_header(name, *header(name), wanted)
        return cls(**common, layer=Layer(config=config, **{name: read(name) for name in ARRAYS}))


def _of_taken(x: Result) -> dict[str, Any]:
    """The fields of a layer's config that say what it takes."""
    return {
        "in_channels": x.channels,
        "height": x.height,
        "width": x.width,
        "in_bits": x.bits,
        "in_signed": x.signed,
        "in_scale": x.scale,
    }
