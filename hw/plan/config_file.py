"""Config file: a unit's config as JSON, the one place that writes and reads it.

The file has a hash of the layer's arrays, not the arrays. So whoever reads it brings the layer, whose
hash must agree. A reloadable unit does not depend on the arrays and is read without a layer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as brief
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, LayerConfig
from golden.contract.layer_file import ARRAYS, read_layer, write_layer
from golden.contract.ranges import Range
from golden.support.cli import UserError
from hw.plan.config import UnitConfig
from hw.plan.made_of import MadeOf
from hw.plan.reload import Reload
from hw.targets.families import find_target

FORMAT = 1
_FIELDS = ("format", "name", "layer", "arrays_sha256", "folding", "target", "pack", "reload")
#: Fields that are there only where they are asked for.
_ASKED_FIELDS = ("products", "requantise")
#: Names of the files of `save`.
CONFIG_FILE, LAYER_FILE = "config.json", "layer.npz"


def config_fields(config: UnitConfig) -> dict[str, Any]:
    """``config`` as JSON values."""
    reload = config.reload
    return {
        "format": FORMAT,
        "name": config.name,
        "layer": json.loads(config.layer.config.to_json()),
        "arrays_sha256": arrays_sha256(config.layer),
        "folding": {"simd": config.folding.simd, "pe": config.folding.pe},
        "target": config.target.name,
        "pack": config.pack,
        **config.made_of.asked,
        "reload": None
        if reload is None
        else {
            "attn_shift": [reload.attn_shift.low, reload.attn_shift.high],
            "out_shift": [reload.out_shift.low, reload.out_shift.high],
            "single_buffered": reload.single_buffered,
        },
    }


def config_of_fields(fields: Mapping[str, Any], layer: Layer | None = None) -> UnitConfig:
    """The config that `config_fields` made ``fields`` of.

    Args:
        fields: JSON values.
        layer: the layer with its arrays. A reloadable unit needs none.

    Raises:
        UserError: for a missing, unknown or wrong field, for another layer than the one that was written,
            and for a frozen unit without a layer.
    """
    missing, unknown = set(_FIELDS) - set(fields), set(fields) - set(_FIELDS) - set(_ASKED_FIELDS)
    if missing or unknown:
        what = f"is missing {sorted(missing)[0]!r}" if missing else f"has the unknown field {sorted(unknown)[0]!r}"
        raise UserError(f"config of a unit {what}, needed are {', '.join(_FIELDS)}")
    if fields["format"] != FORMAT:
        raise UserError(f"config of a unit has format {brief(fields['format'])}, allowed is {FORMAT}")
    try:
        layer_config = LayerConfig.from_json(json.dumps(fields["layer"]))
        if layer is None:
            if fields["reload"] is None:
                raise UserError("config of a frozen unit says nothing of its weights, the layer file is needed, too")
            layer = Layer.stand_in(layer_config)
        elif layer.config != layer_config or arrays_sha256(layer) != fields["arrays_sha256"]:
            raise UserError("layer is not the one that the unit was built for, its config or its arrays differ")
        simd, pe = (_lanes(name, fields["folding"][name]) for name in ("simd", "pe"))
        folding = Folding.choose(layer_config, simd, pe)
        return UnitConfig(
            layer=layer,
            folding=folding,
            target=find_target(fields["target"]),
            pack=_flag("pack", fields["pack"]),
            reload=_reload(fields["reload"]),
            made_of=MadeOf(**{name: fields[name] for name in _ASKED_FIELDS if name in fields}),
            name=fields["name"],
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"config of a unit has a field of the wrong form ({error})") from None


def _reload(fields: Mapping[str, Any] | None) -> Reload | None:
    if fields is None:
        return None
    attn_shift, out_shift = (_shifts(name, fields[name]) for name in ("attn_shift", "out_shift"))
    single_buffered = _flag("single_buffered", fields["single_buffered"])
    return Reload(attn_shift=attn_shift, out_shift=out_shift, single_buffered=single_buffered)


def _lanes(name: str, value: Any) -> int:
    if type(value) is not int:
        raise UserError(f"{name} {brief(value)} of a unit's config is not an integer")
    return value


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise UserError(f"{name} {brief(value)} of a unit's config is not true or false")
    return value


def _shifts(name: str, value: Any) -> Range:
    lowest, highest = FIELD_RANGES[name]
    if [type(v) for v in value] != [int, int] or not lowest <= value[0] <= value[1] <= highest:
        allowed = f"[LOW, HIGH] with {lowest} <= LOW <= HIGH <= {highest}"
        raise UserError(f"{name} {brief(value)} of a unit's config is not {allowed}")
    return Range(*value)


def arrays_sha256(layer: Layer) -> str:
    """Hash of a layer's arrays, whatever file they come from."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(getattr(layer, name), "<i8")
        digest.update(f"{name} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save(config: UnitConfig, folder: Path) -> None:
    """Keep ``config`` in ``folder``, its layer in a file of its own."""
    write_layer(folder / LAYER_FILE, config.layer)
    (folder / CONFIG_FILE).write_text(json.dumps(config_fields(config)))


def load(folder: Path) -> UnitConfig:
    """The config that `save` kept in ``folder``.

    Raises `UserError` as `config_of_fields` does, and `OSError` or `ValueError` where there is no such file.
    """
    fields = json.loads((folder / CONFIG_FILE).read_text())
    return config_of_fields(fields, read_layer(folder / LAYER_FILE))


def read_manifest_config(path: str | os.PathLike[str]) -> UnitConfig:
    """The config of the reloadable unit that the manifest at ``path`` describes.

    Raises `UserError` where the file cannot be read, is no manifest, or is that of a frozen unit.
    """
    try:
        fields = json.loads(Path(path).read_text())
        config = fields["config"]
    except OSError as error:
        raise UserError(f"manifest {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"manifest {path} is not one of hw.build: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"manifest {path} is not one of hw.build: its config is no object")
    if config.get("reload", config) is None:
        raise UserError(f"manifest {path} is that of a frozen unit, allowed is one of hw.build --reloadable")
    try:
        return config_of_fields(config)
    except UserError as error:
        raise UserError(f"manifest {path}: {error}") from None
