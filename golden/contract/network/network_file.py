"""Network files: one ``.npz`` with a JSON text ``config`` and the arrays of its steps, ``STEP.ARRAY``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any

from golden.contract.fields import FORMAT, LayerError, check_integer, check_names, parse_object, take_format
from golden.contract.layer_file import archive_bytes, opened, read_config
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.network import IntegerNetwork, check_step_name, naming, taken_results
from golden.contract.network.ops import STEPS
from golden.contract.network.result import MOST, Result, check_image
from golden.contract.network.step import Step
from golden.support.arrays import Archive
from golden.support.cli import replacing

KIND = "network"
#: Most characters that a config may have: more than 4096 steps with long names need.
MAX_CONFIG = 4_000_000
#: Fields that every step has. The last may be left out.
_COMMON = ("name", "op", "inputs", "scale")
_IMAGE_FIELDS = ("channels", "height", "width", "bits", "signed")


def read_network(path: str | os.PathLike[str]) -> IntegerNetwork:
    """Read and validate a network file. Raises `LayerError` that names file, step, field and value."""
    with opened("network", path) as archive:
        return parse_network(archive)


def parse_network(archive: Archive) -> IntegerNetwork:
    """The network in ``archive``. Raises `UserError` that names step, field and value."""
    fields = parse_object(read_config(archive, MAX_CONFIG))
    take_format(fields)
    if "kind" not in fields:
        raise LayerError(f"config field kind is missing, allowed is {KIND!r}; a layer file has none")
    check_names(fields, ("kind", "input", "steps", "output"), beside="format")
    if fields["kind"] != KIND:
        raise LayerError(f"kind {brief(fields['kind'])} is not {KIND!r}")
    image = _image(fields["input"])
    texts = fields["steps"]
    if not isinstance(texts, list) or not all(isinstance(text, dict) for text in texts):
        raise LayerError(f"steps {brief(texts)} are not a list of JSON objects")
    described = [_described(text) for text in texts]
    archive.require(("config", *(f"{step.name}.{array}" for step in described for array in step.array_names)))
    builder = NetworkBuilder(image)
    for text in described:
        check_step_name(text.name, builder.results)
        with naming(text.name):
            taken = taken_results(text.kind, text.common["inputs"], builder.results)
            builder.append(text.read(taken, archive))
    return builder.network(fields["output"])


def _image(fields: Any) -> Result:
    if not isinstance(fields, dict):
        raise LayerError(f"input {brief(fields)} is not a JSON object")
    check_names(fields, _IMAGE_FIELDS, ("scale",))
    for name in ("channels", "height", "width"):
        check_integer(f"input {name}", fields[name], (1, MOST))
    image = Result(**fields)
    check_image(image)
    return image


@dataclass(frozen=True, kw_only=True)
class _Described:
    """A step as its text describes it, before its arrays are read.

    Attributes:
        name: of the step.
        kind: its op.
        common: ``name``, ``inputs`` and perhaps ``scale``.
        own: the other fields.
    """

    name: str
    kind: type[Step]
    common: Mapping[str, Any]
    own: Mapping[str, Any]

    @property
    def array_names(self) -> tuple[str, ...]:
        return self.kind.present_arrays(self.own)

    def read(self, taken: Sequence[Result], archive: Archive) -> Step:
        return self.kind.from_file(
            self.common,
            self.own,
            taken,
            lambda array: archive.header(f"{self.name}.{array}"),
            lambda array: archive.read(f"{self.name}.{array}"),
        )


def _described(text: Mapping[str, Any]) -> _Described:
    name = text.get("name")
    check_step_name(name, {})
    assert isinstance(name, str)
    with naming(name):
        check_names({k: v for k, v in text.items() if k in _COMMON}, _COMMON[:-1], _COMMON[-1:])
        op, inputs = text["op"], text["inputs"]
        if not isinstance(op, str) or op not in STEPS:
            raise LayerError(f"op {brief(op)} is not one of {', '.join(STEPS)}")
        if not isinstance(inputs, list):
            raise LayerError(f"inputs {brief(inputs)} are not a list of names")
    common = {"name": name, "inputs": tuple(inputs)} | {k: v for k, v in text.items() if k == "scale"}
    own = {k: v for k, v in text.items() if k not in _COMMON}
    return _Described(name=name, kind=STEPS[op], common=common, own=own)


def write_network(path: str | os.PathLike[str], network: IntegerNetwork) -> None:
    """Write ``network`` so that `read_network` returns it, the whole file or none.

    Raises `UserError` where ``path`` cannot be written.
    """
    with replacing(path, "wb") as stream:
        stream.write(network_bytes(network))


def network_bytes(network: IntegerNetwork) -> bytes:
    """The bytes of a network file, its arrays in narrow integer dtypes."""
    arrays = {f"{step.name}.{name}": array for step in network.steps for name, array in step.arrays().items()}
    return archive_bytes(config_text(network), arrays)


def config_text(network: IntegerNetwork) -> str:
    """The ``config`` text of a network file."""
    image = {name: getattr(network.image, name) for name in (*_IMAGE_FIELDS, "scale")}
    steps = [
        {"name": step.name, "op": step.op, "inputs": list(step.inputs), "scale": step.scale, **step.own_fields()}
        for step in network.steps
    ]
    fields = {"input": _given(image), "steps": list(map(_given, steps)), "output": network.output}
    return json.dumps({"format": FORMAT, "kind": KIND, **fields})


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
