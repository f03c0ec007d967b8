"""What all steps of a network have in common."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from golden.contract.fields import check_names, check_scale
from golden.contract.network.result import Result
from golden.support.arrays import plain

#: Bits of a requantised result, bits that a shift may drop, and values of a multiplier that may not be 0.
OUT_BITS = (2, 16)
SHIFT = (0, 47)
MULTIPLIER = (1, 2**16 - 1)

#: Shape and dtype of a step's array, and its elements, by the array's name.
Header = Callable[[str], tuple[tuple[int, ...], np.dtype[Any]]]
Read = Callable[[str], np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Step(ABC):
    """One operation of a network, in exact integers.

    Each subclass is an op. Its dataclass fields are the fields and arrays of the network file.

    Attributes:
        name: what later steps know its result by.
        inputs: names of what it takes: earlier steps or the image, in order.
        scale: value of one step of its result, or None.

    Class attributes:
        op: the name of the operation in network files.
        takes: least and most results that it takes.
        taken_bits: least and most bits of what it takes.
        array_names: its arrays, which stand beside ``config`` in a network file.

    Raises `LayerError` for a field outside the contract.
    """

    name: str
    inputs: tuple[str, ...]
    scale: float | None = None

    op: ClassVar[str]
    takes: ClassVar[tuple[int, int]] = (1, 1)
    taken_bits: ClassVar[tuple[int, int]] = (2, 16)
    array_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        check_scale("scale", self.scale)

    @abstractmethod
    def result(self, taken: Sequence[Result]) -> Result:
        """Its result's shape and format, when it takes ``taken``.

        Raises `LayerError` where the step cannot take ``taken``, or its proven bound on ``|acc|`` reaches 2^47.
        """

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates of a frame (`golden.contract.costs`). Requantisation does not count."""
        return 0

    @property
    def weights(self) -> int:
        """Number of its weights, biases and multipliers apart."""
        return 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name, each in a narrow dtype that holds every allowed value."""
        return {}

    def own_fields(self) -> dict[str, Any]:
        """What its ``config`` holds beside ``name``, ``op``, ``inputs`` and ``scale``."""
        common = {f.name for f in dataclasses.fields(Step)}
        own = [f for f in dataclasses.fields(self) if f.name not in common and f.name not in self.array_names]
        values = {f.name: getattr(self, f.name) for f in own}
        # A field that is as if it were left out is left out.
        return {f.name: values[f.name] for f in own if values[f.name] != f.default}

    @classmethod
    def present_arrays(cls, own: Mapping[str, Any]) -> tuple[str, ...]:
        """The arrays of a step with the fields ``own``, as `from_file` takes them."""
        return cls.array_names

    @classmethod
    def from_file(
        cls, common: Mapping[str, Any], own: Mapping[str, Any], taken: Sequence[Result], header: Header, read: Read
    ) -> Self:
        """The step that a network file describes.

        All headers are checked before an array is read. So a refusal costs no time and no memory.

        Args:
            common: ``name``, ``inputs`` and perhaps ``scale``.
            own: the other fields.
            taken: what it takes.
            header: shape and dtype of an array of the step.
            read: an array of the step.

        Raises:
            LayerError: for fields and arrays outside the contract.
        """
        known = {f.name for f in dataclasses.fields(Step)}
        needed = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(cls) if f.name not in known}
        check_names(own, [name for name in needed if needed[name]], [name for name in needed if not needed[name]])
        return cls(**common, **own)
