"""A network of integer steps: a graph whose every result is exact.

`golden.contract.network.network_file` keeps a network in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from reprlib import repr as brief

import numpy as np
from numpy.typing import ArrayLike

from golden.contract.fields import LayerError
from golden.contract.frames import check_frames
from golden.contract.network.argmax import Argmax
from golden.contract.network.linear import Linear
from golden.contract.network.result import Result, check_image
from golden.contract.network.step import Step
from golden.support.arrays import as_array
from golden.support.cli import UserError

#: The name that steps know the image by.
IMAGE = "input"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerNetwork:
    """Steps in the order of the data flow, each of which takes earlier results or the image.

    Attributes:
        image: shape and format of what goes in.
        steps: at least one.
        output: the name of the step whose result comes out. Every other result is taken by some step.
        results: shape and format of each step's result and of the image, by name.

    Raises:
        LayerError: naming the step, for a graph, a format or a proven bound outside the contract.
    """

    image: Result
    steps: tuple[Step, ...]
    output: str
    results: Mapping[str, Result] = field(init=False)

    def __post_init__(self) -> None:
        check_image(self.image)
        if not self.steps:
            raise LayerError("the network has no steps, allowed is at least one")
        results = {IMAGE: self.image}
        for step in self.steps:
            check_step_name(step.name, results)
            with naming(step.name):
                taken = taken_results(type(step), step.inputs, results)
                results[step.name] = step.result(taken)
        object.__setattr__(self, "results", results)
        self._check_output()
        self._check_takers()

    def _check_output(self) -> None:
        names = [step.name for step in self.steps]
        if self.output not in names:
            raise LayerError(f"output {brief(self.output)} is not a step, steps are {brief(names)}")
        taken = {name for step in self.steps for name in step.inputs}
        for name in self.results:
            if name not in taken and name != self.output:
                raise LayerError(f"the result of {name!r} is neither taken by a step nor the output")

    def _check_takers(self) -> None:
        by_name = {step.name: step for step in self.steps}
        for step in self.steps:
            if isinstance(step, Argmax) and step.name != self.output:
                raise LayerError(f"step {step.name!r}: argmax is allowed only as the output, which is {self.output!r}")
            for name in step.inputs:
                source = by_name.get(name)
                if isinstance(source, Linear) and source.raw and not isinstance(step, Argmax):
                    allowed = "a raw linear goes to argmax or is the output"
                    raise LayerError(f"step {step.name!r}: {step.op} takes the raw result of {name!r}, {allowed}")

    @property
    def output_result(self) -> Result:
        """Shape and format of what comes out."""
        return self.results[self.output]

    def with_steps(self, steps: tuple[Step, ...]) -> IntegerNetwork:
        """This network with other ``steps``. Raises `LayerError` as the constructor does."""
        return IntegerNetwork(image=self.image, steps=steps, output=self.output)

    def check_input(self, x: ArrayLike) -> np.ndarray:
        """Frames as int64 ``[N, C, H, W]`` from integers ``[C, H, W]`` or ``[N, C, H, W]``.

        ``x`` is an array, a PyTorch tensor or nested lists. Raises `UserError` for another shape, a
        non-integer dtype or a value outside the format.
        """
        source = f"input bits {self.image.bits}, signed {self.image.signed}"
        return check_frames(as_array("input", x), self.image.shape, self.image.limits, source)


@contextmanager
def naming(step: str) -> Iterator[None]:
    """Put the name of ``step`` before the message of a refusal."""
    try:
        yield
    except UserError as error:
        raise LayerError(f"step {step!r}: {error}") from None


def check_step_name(name: object, earlier: Mapping[str, Result]) -> None:
    """Raise `LayerError` unless ``name`` may be the next step's, after ``earlier`` ones and the image."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        allowed = "an ASCII letter, then ASCII letters, digits or _, at most 64 characters"
        raise LayerError(f"step name {brief(name)} is not allowed: {allowed}")
    if name == IMAGE:
        raise LayerError(f"step name {name!r} is taken, it is the image")
    if name in earlier:
        raise LayerError(f"step name {name!r} is there twice")


def taken_results(kind: type[Step], inputs: Sequence[str], earlier: Mapping[str, Result]) -> list[Result]:
    """What a step of ``kind`` takes. Raises `LayerError` for another number of inputs, name or width."""
    least, most = kind.takes
    if not least <= len(inputs) <= most:
        allowed = str(least) if least == most else f"{least} to {most}"
        raise LayerError(f"inputs are {len(inputs)}, {kind.op} takes {allowed}")
    for name in inputs:
        if not isinstance(name, str) or name not in earlier:
            raise LayerError(f"input {brief(name)} is not an earlier step, these are {brief(list(earlier))}")
    taken = [earlier[name] for name in inputs]
    least, most = kind.taken_bits
    for name, result in zip(inputs, taken, strict=True):
        if not least <= result.bits <= most:
            raise LayerError(f"input {name!r} has {result.bits} bits, {kind.op} takes {least} to {most}")
    return taken
