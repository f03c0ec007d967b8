"""A network that grows step by step, with the format of each result at hand."""

from __future__ import annotations

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.contract.network.step import Step


class NetworkBuilder:
    """Collects steps in the order of the data flow.

    Args:
        image: shape and format of what goes in.

    Attributes:
        steps: those that were appended.
        results: shape and format of the image and of each step's result, by name.
    """

    def __init__(self, image: Result) -> None:
        self.steps: list[Step] = []
        self.results: dict[str, Result] = {IMAGE: image}

    def append(self, step: Step) -> str:
        """Append ``step`` and return its name. Raises `LayerError` where it cannot take its inputs."""
        result = step.result([self.results[name] for name in step.inputs])
        self.steps.append(step)
        self.results[step.name] = result
        return step.name

    def network(self, output: str) -> IntegerNetwork:
        """The network whose output is the result of the step ``output``. Raises `LayerError` for a wrong graph."""
        return IntegerNetwork(image=self.results[IMAGE], steps=tuple(self.steps), output=output)
