"""Random networks: graphs of all operations, for tests and fuzzing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from golden.contract.layer_config import NEIGHBOURS
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import FRAME, AvgPool
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from golden.contract.rounding import HALF_EVEN, ROUNDINGS, Rounding
from golden.layers.random_layer import random_layer

#: Channels and sides that a result of a random network may have.
MOST_CHANNELS, MOST_SIDE = 12, 14


def random_network(
    rng: np.random.Generator, steps: int = 6, *, modes: np.random.Generator | None = None, blocks: bool = False
) -> IntegerNetwork:
    """A network whose graph, operations, formats and weights are all drawn.

    Args:
        rng: source of all that is drawn, but for modes of rounding.
        steps: how many steps are drawn before the open ends of the graph are joined.
        modes: source of the mode of rounding of each requantised result. None: all are the usual one.
        blocks: whether residual blocks are drawn, too. By chance alone there are few.
    """
    return _Builder(rng, modes).draw(steps, blocks)


class _Builder(NetworkBuilder):
    """A method that appends steps returns the name of the last one, or None where it fits nowhere."""

    def __init__(self, rng: np.random.Generator, modes: np.random.Generator | None) -> None:
        self.rng, self.modes = rng, modes
        channels, height, width = (int(n) for n in rng.integers(1, [6, 9, 9], endpoint=True))
        bits = self.integer(2, 8)
        super().__init__(Result(channels=channels, height=height, width=width, bits=bits, signed=self.coin()))

    def draw(self, steps: int, blocks: bool) -> IntegerNetwork:
        makers: Sequence[Callable[[], str | None]] = (
            *[self.block] * (4 * blocks),
            *[self.layer] * 4,
            *[self.add] * 2,
            self.max_pool,
            self.avg_pool,
            self.concat,
            self.upsample,
        )
        while len(self.steps) < steps:
            self.pick(makers)()
        while len(open_ends := self.open_ends()) > 1:
            self.join(*open_ends[:2])
        (last,) = open_ends
        if self.coin():
            last = self.classifier(last)
        return self.network(last)

    # --- what is drawn ---

    def coin(self) -> bool:
        return bool(self.rng.integers(2))

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def integer(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high, endpoint=True))

    def rounding(self) -> Rounding:
        return HALF_EVEN if self.modes is None else ROUNDINGS[self.modes.integers(len(ROUNDINGS))]

    def source(self, allowed: Callable[[Result], bool]) -> str | None:
        """A result that is ``allowed``; half of the time one that nobody takes yet."""
        names = [name for name, result in self.results.items() if allowed(result)]
        untaken = [name for name in self.open_ends() if name in names]
        return self.pick(untaken if untaken and self.coin() else names) if names else None

    def open_ends(self) -> list[str]:
        taken = {name for step in self.steps for name in step.inputs}
        return [name for name in self.results if name not in taken]

    # --- steps ---

    def make(self, kind: Callable[..., Step], *inputs: str, **fields: Any) -> str:
        return self.append(kind(name=f"step{len(self.steps)}", inputs=inputs, **fields))

    def layer(self) -> str | None:
        name = self.source(lambda r: r.bits <= 8)
        if name is None:
            return None
        return self.layer_of(name)

    def layer_of(self, name: str, **settled: Any) -> str:
        """A layer of a result. What is ``settled`` of it is not what is drawn."""
        x = self.results[name]
        kernel = self.pick([1, 3, 3, 5])
        padding = "valid" if kernel <= min(x.height, x.width) and self.integer(0, 3) == 0 else "same"
        depthwise = x.channels > 1 and self.integer(0, 3) == 0
        fields: dict[str, Any] = {}
        if not depthwise and self.integer(0, 3) == 0:
            heads = [n for n in range(1, x.channels + 1) if x.channels % n == 0]
            fields = {"product": "dynamic", "heads": self.pick(heads), "sim_bits": self.integer(2, 8)}
        fields |= {
            "in_channels": x.channels,
            "out_channels": x.channels if depthwise else self.integer(1, 8),
            "groups": x.channels if depthwise else 1,
            "height": x.height,
            "width": x.width,
            "kernel": kernel,
            "stride": self.integer(1, 2),
            "padding": padding,
            "attn_offsets": self.pick([(), NEIGHBOURS, ((0, 0), (-1, 1), (2, 0))]),
            "in_bits": x.bits,
            "in_signed": x.signed,
            "weight_bits": self.integer(2, 8),
            "out_bits": self.integer(2, 10),
            "out_signed": self.coin(),
            "relu": self.coin(),
            "rounding": self.rounding(),
        }
        return self.make(LayerStep, name, layer=random_layer(self.rng, **(fields | settled)))

    def block(self) -> str | None:
        """Two layers, and what is added to them: what they took, or a projection of it."""
        name = self.source(lambda r: r.bits <= 8)
        if name is None:
            return None
        x, stride = self.results[name], self.pick([1, 1, 2])
        channels = x.channels if stride == 1 and self.coin() else self.integer(1, 8)
        plain = {"groups": 1, "out_channels": channels, "padding": "same"}
        first = self.layer_of(name, **plain, kernel=self.pick([3, 5]), stride=stride, out_bits=self.integer(2, 8))
        second = self.layer_of(first, **plain, kernel=self.pick([1, 3]), stride=1)
        if stride > 1 or channels != x.channels:
            name = self.layer_of(name, **plain, kernel=1, stride=stride, attn_offsets=())
        return self.sum_of(second, name)

    def add(self) -> str | None:
        first = self.source(lambda r: r.bits <= 16)
        assert first is not None  # the image has at most 8 bits
        shape = self.results[first].shape
        second = self.source(lambda r: r.bits <= 16 and r.shape == shape)
        assert second is not None
        return self.sum_of(first, second)

    def sum_of(self, first: str, second: str) -> str:
        shift = self.integer(0, 18)
        largest = min(2**16 - 1, 2 ** (shift + 1))
        return self.make(
            Add,
            first,
            second,
            multipliers=(self.integer(0, largest), self.integer(0, largest)),
            shift=shift,
            out_bits=self.integer(2, 16),
            out_signed=self.coin(),
            relu=self.coin(),
            rounding=self.rounding(),
        )

    def max_pool(self) -> str | None:
        kernel = self.integer(1, 4)
        pad = self.integer(0, kernel // 2)
        name = self.source(lambda r: r.bits <= 16 and min(r.height, r.width) + 2 * pad >= kernel)
        return name and self.make(MaxPool, name, kernel=kernel, stride=self.integer(1, 3), pad=pad)

    def avg_pool(self) -> str | None:
        kernel: int | str = self.pick([FRAME, 1, 2, 3])
        least = 1 if isinstance(kernel, str) else kernel
        name = self.source(lambda r: r.bits <= 16 and min(r.height, r.width) >= least)
        return name and self.average(name, kernel, out_bits=self.integer(2, 16), out_signed=self.coin())

    def average(self, name: str, kernel: int | str, *, out_bits: int, out_signed: bool) -> str:
        x = self.results[name]
        elements = x.height * x.width if isinstance(kernel, str) else kernel**2
        shift = self.integer(8, 16)
        return self.make(
            AvgPool,
            name,
            kernel=kernel,
            stride=1 if isinstance(kernel, str) else self.integer(1, 2),
            multiplier=max(1, min(2**16 - 1, round(2**shift / elements))),
            shift=shift,
            out_bits=out_bits,
            out_signed=out_signed,
            rounding=self.rounding(),
        )

    def concat(self) -> str | None:
        first = self.source(lambda r: r.bits <= 16)
        assert first is not None
        x = self.results[first]
        alike = [name for name in self.results if _format(self.results[name]) == _format(x)]
        others = [self.pick(alike) for _ in range(self.integer(1, 2))]
        if x.channels + sum(self.results[name].channels for name in others) > MOST_CHANNELS:
            return None
        return self.make(Concat, first, *others)

    def upsample(self) -> str | None:
        factor = self.integer(2, 3)
        name = self.source(lambda r: r.bits <= 16 and factor * max(r.height, r.width) <= MOST_SIDE)
        return name and self.make(Upsample, name, factor=factor)

    def join(self, first: str, second: str) -> str:
        """One result of two, whatever their shapes."""
        a, b = self.results[first], self.results[second]
        if a.shape == b.shape:
            return self.sum_of(first, second)
        if _format(a) == _format(b):
            return self.make(Concat, first, second)
        pooled = [self.average(name, FRAME, out_bits=8, out_signed=True) for name in (first, second)]
        return self.make(Concat, *pooled)

    def classifier(self, name: str) -> str:
        if self.results[name].bits > 8:
            name = self.average(name, FRAME, out_bits=8, out_signed=self.coin())
        x = self.results[name]
        outputs, weight_bits = self.integer(1, 10), self.integer(2, 8)
        limit = 2 ** (weight_bits - 1) - 1
        shape = (outputs, x.channels) if self.coin() else (outputs, *x.shape)
        fields: dict[str, Any] = {
            "weight_bits": weight_bits,
            "weight": self.rng.integers(-limit, limit, shape, endpoint=True),
            "bias": self.rng.integers(-1000, 1000, outputs, endpoint=True),
        }
        if requantised := self.coin():
            fields |= {"out_bits": self.integer(2, 16), "out_signed": self.coin(), "relu": self.coin()}
            fields |= {"out_shift": 16, "multiplier": self.rng.integers(1, 2**12, outputs), "rounding": self.rounding()}
        else:
            fields |= {"out_bits": 48, "out_signed": True}
        step = Linear(name=f"step{len(self.steps)}", inputs=(name,), **fields)
        last = self.append(step if requantised else step.as_narrow_as_its_bound(x))
        return self.make(Argmax, last) if self.coin() else last


def _format(x: Result) -> tuple[int, int, int, bool]:
    """What results must share to stand side by side."""
    return x.height, x.width, x.bits, x.signed
