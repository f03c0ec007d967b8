"""Time the exact integer model against PyTorch doing the same work in float32.

Examples:
    python -m scripts.bench_golden --images 100 --repeat 5
    python -m scripts.bench_golden --work resnet20

The layer is 64 -> 64 channels at 56x56, 3x3, with all eight directions and 8-bit unsigned input.
PyTorch runs the merged form: 3x3 convolution, eight shift products, 1x1 convolution of 512 channels.
It leaves out the requantisation, which the integer model includes. The network is ResNet-20 at
32x32x3, batch norms folded. PyTorch is timed twice: with the whole batch at once, and image by image,
which spares it large intermediates.

The three runs alternate, so that a load that comes and goes meets all of them. Measure on an idle
machine all the same: the threads of a matrix product wait for each other, on busy cores for long.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from golden.contract.layer import Layer
from golden.layers.random_layer import random_layer
from golden.layers.residual import random_resnet
from golden.model import integer
from golden.model.network import network
from golden.networks.resnet import ARCHITECTURES, resnet
from golden.operators.dynamic_conv import DynamicConv2d
from golden.support import cli
from golden.support.progress import bars
from golden.support.tables import show, table_of
from golden.vectors import random_frames

CHANNELS = 64
SIDE = 56
NETWORK_SIDE, CLASSES = 32, 10
#: A relative error that a float32 sum of 1088 products stays below, with room to spare.
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is timed.

    Attributes:
        title: in words.
        integers: computes the images in integers.
        floats: the same work as a module, and the images for it.
    """

    title: str
    integers: Callable[[], object]
    floats: tuple[nn.Module, Tensor]

    @property
    def contestants(self) -> dict[str, Callable[[], object]]:
        module, images = self.floats
        return {
            "integer model": self.integers,
            "PyTorch float32, whole batch": lambda: module(images),
            "PyTorch float32, image by image": lambda: [module(image) for image in images.split(1)],
        }


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    for make in [WORKS[options.work]] if options.work else WORKS.values():
        work = make(options.images, options.seed)
        _show(work.title, _seconds(work, options.repeat), options.images)
    return 0


def layer_work(images: int, seed: int) -> Work:
    """A layer, and its merged form in floats."""
    layer = random_layer(
        np.random.default_rng(seed), in_channels=CHANNELS, out_channels=CHANNELS, height=SIDE, width=SIDE
    )
    x = random_frames(layer, images, seed).astype(np.uint8)
    module = _float_layer(layer)
    _check_agreement(layer, x[:4], module)
    return Work(
        title=f"{images} images, {CHANNELS} -> {CHANNELS}, {SIDE}x{SIDE}",
        integers=lambda: integer.run(layer, x),
        floats=(module, torch.from_numpy(x).float()),
    )


def network_work(images: int, seed: int) -> Work:
    """ResNet-20 with random weights, and the same graph in floats. Their weights differ, their work does not."""
    architecture = ARCHITECTURES[20]
    integers = random_resnet(
        seed, side=NETWORK_SIDE, widths=architecture.widths, blocks=architecture.blocks, classes=CLASSES
    )
    module = resnet(20, in_channels=3, outputs=CLASSES).eval().merged()
    x = np.random.default_rng(seed).integers(0, 256, (images, 3, NETWORK_SIDE, NETWORK_SIDE), np.uint8)
    return Work(
        title=f"{images} images, ResNet-20, {NETWORK_SIDE}x{NETWORK_SIDE}x3",
        integers=lambda: network.run(integers, x),
        floats=(module, torch.from_numpy(x).float()),
    )


WORKS: Mapping[str, Callable[[int, int], Work]] = {"layer": layer_work, "resnet20": network_work}


def _seconds(work: Work, repeat: int) -> dict[str, list[float]]:
    """The times of each contestant."""
    seconds: dict[str, list[float]] = {name: [] for name in work.contestants}
    with torch.inference_mode(), bars() as bar:
        task = bar.add_task("runs", total=(repeat + 1) * len(seconds))
        for turn in range(repeat + 1):
            for name, run in work.contestants.items():
                start = time.perf_counter()
                run()
                if turn > 0:  # the first round warms caches and allocators up
                    seconds[name].append(time.perf_counter() - start)
                bar.advance(task)
    return seconds


def _float_layer(layer: Layer) -> DynamicConv2d:
    """The layer before requantisation as a float32 module."""
    c = layer.config
    network = DynamicConv2d(c.in_channels, c.out_channels, kernel_size=c.kernel, attn_offsets=c.attn_offsets)
    with torch.no_grad():
        network.conv_weight.copy_(torch.from_numpy(layer.conv_weight * 2**c.attn_shift))
        network.attn_weight.copy_(torch.from_numpy(layer.attn_weight.copy()))
        network.bias.copy_(torch.from_numpy(layer.bias.copy()))
    return network.eval()


def _check_agreement(layer: Layer, x: np.ndarray, network: DynamicConv2d) -> None:
    """Fail unless the accumulators of both are close: then both do the same work."""
    acc = integer.accumulate(layer, x)
    with torch.inference_mode():
        close = network(torch.from_numpy(x).float()).double().numpy()
    error = np.abs(close - acc).max() / np.abs(acc).max()
    if error > TOLERANCE:
        raise SystemExit(f"integer model and PyTorch differ by {error:.2g} of the largest accumulator")


def _show(title: str, seconds: dict[str, list[float]], images: int) -> None:
    median = {name: statistics.median(times) for name, times in seconds.items()}
    table = table_of("", "median s", "images/s", "integer model takes", title=title)
    own = next(iter(median.values()))
    for name, time_taken in median.items():
        table.add_row(name, f"{time_taken:.3f}", f"{images / time_taken:.0f}", f"{own / time_taken:.2f}x")
    show(table)


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.bench_golden", description=__doc__)
    parser.add_argument("--work", choices=list(WORKS), help="what is timed (default: all)")
    parser.add_argument("--images", type=cli.bounded(int, 1, 10_000), default=100, help="batch size (default: 100)")
    parser.add_argument("--repeat", type=cli.bounded(int, 1, 1000), default=5, help="timed rounds (default: 5)")
    parser.add_argument("--seed", type=cli.bounded(int, 0, 2**32 - 1), default=0, help="(default: 0)")
    return parser


if __name__ == "__main__":
    cli.run(main)
