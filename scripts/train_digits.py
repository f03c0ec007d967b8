"""Train the checked-in network ``digits``, or the one around ``digits_layer`` or ``digits_dynamic``, and quantise it.

Examples:
    python -m scripts.train_digits
    python -m scripts.train_digits digits_dynamic
    python -m scripts.train_digits --scales po2 --out build/digits_po2
    python -m scripts.train_digits --seed 7 --epochs 20 --out build/digits

The networks tell scikit-learn's 1797 handwritten digits (8x8 pixels) apart. A fifth of the images is
held out: neither training nor calibration sees them.

``digits`` is a 3x3 stem convolution 1 -> 8, an X-volution 8 -> 16 that takes what the stem gives with its
sign, a 2x2 max pool and a linear head, quantised as a whole, up to the digit. The files written are

    digits.npz              the network
    digits_activations.npy  the images that it takes, all held-out ones [N, 1, 8, 8]
    digits_labels.npy       the digit in each of them [N]

``digits_layer`` and ``digits_dynamic`` are X-volution layers 16 -> 16, of the products ``hadamard`` and
``dynamic``. They stand between a stem 1 -> 16, and a 2x2 average pool and a head, which stay in floats.
For each the files written are

    NAME.npz                the quantised layer
    NAME_activations.npy    its real integer inputs, all held-out images [N, 16, 8, 8]
    NAME_network.npz        labels and head, to compute an accuracy from the layer's output

The same seed gives the same files on the same machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from golden.contract.network.network import IMAGE
from golden.contract.network.network_file import network_bytes
from golden.contract.scales import quantise_input
from golden.layers import DEFAULT
from golden.layers.digits_layer import CLASSES, LAYER_NAMES, POOL, Digits, digits_files, file_names
from golden.model import integer
from golden.networks.variants import plain_unit
from golden.operators.network import Network
from golden.operators.step import Step
from golden.operators.xvolution import XVolution
from golden.quantise.calibration import Scales
from golden.quantise.layer import quantise
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.support.arrays import array_bytes
from golden.support.cli import Parser, bounded, check_folder, file_path, output_directory, run, write_files
from golden.support.progress import progress
from golden.support.terminal import say
from scripts.checkout import in_checkout

#: Folder of the checked-in layers.
LAYERS = "golden/layers"
#: Product of each checked-in layer.
PRODUCTS = {name: product for product, name in LAYER_NAMES.items()}
#: Files of each name.
FILES = {DEFAULT: tuple(f"{DEFAULT}{end}" for end in (".npz", "_activations.npy", "_labels.npy"))}
FILES |= {name: file_names(name) for name in PRODUCTS}
#: Channels behind the stem and behind the X-volution of ``digits``, and those around a layer.
STEM, WIDE = 8, 16
CHANNELS = 16
SIDE = 8
HELD_OUT = 360
BATCH = 64
LEARNING_RATE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What training gives.

    Attributes:
        files: contents by name.
        labels: ``[N]``, the digit in each held-out image.
        predictions: ``[N]`` by what computed them, for these images.
        remark: what else there is to say.
    """

    files: Mapping[str, bytes]
    labels: np.ndarray
    predictions: Mapping[str, np.ndarray]
    remark: str = ""


class AroundLayer(nn.Module):
    """Maps digits ``[N, 1, 8, 8]`` to the scores of their ten classes ``[N, 10]``."""

    def __init__(self, product: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.xvolution = XVolution(CHANNELS, CHANNELS, product=product)
        self.linear = nn.Linear(CHANNELS * (SIDE // POOL) ** 2, CLASSES)
        self.head = nn.Sequential(nn.ReLU(), nn.AvgPool2d(POOL), nn.Flatten(), self.linear)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.xvolution(self.stem(x)))


def whole_network(**options: Any) -> Network:
    """The network ``digits`` in floats, its X-volution with ``options``.

    Images ``[N, 1, 8, 8]`` become the scores of the ten classes ``[N, 10]``.
    """
    steps = (
        Step(name="stem", op="layer", inputs=(IMAGE,)),
        Step(name="xvolution", op="layer", inputs=("stem",), relu=True),
        Step(name="pool", op="max_pool", inputs=("xvolution",), options={"kernel": POOL, "stride": POOL, "pad": 0}),
        Step(name="head", op="linear", inputs=("pool",)),
    )
    parts = {
        "stem": plain_unit(1, STEM, 3),
        "xvolution": XVolution(STEM, WIDE, **options),
        "head": nn.Linear(WIDE * (SIDE // POOL) ** 2, CLASSES),
    }
    return Network(steps, parts, attended=["xvolution"])


def split_digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images, held-out images (``[N, 1, 8, 8]``, 0 to 1), training labels, held-out labels."""
    data = load_digits()
    images = torch.from_numpy(data.images / 16).float()[:, None]
    labels = torch.from_numpy(data.target)
    return tuple(train_test_split(images, labels, test_size=HELD_OUT, random_state=seed, stratify=labels))


def train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train ``network`` in place, and leave it in eval mode."""
    steps = epochs * -(-len(images) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    network.train()
    with progress("training", steps) as advance:
        for _ in range(epochs):
            for batch in torch.randperm(len(images)).split(BATCH):
                optimiser.zero_grad()
                loss = nn.functional.cross_entropy(network(images[batch]), labels[batch], label_smoothing=0.1)
                loss.backward()
                optimiser.step()
                schedule.step()
                advance(1)
    network.eval()


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    folder = options.out or in_checkout(LAYERS, "--out DIR")
    check_folder(folder, FILES[options.name])
    out = output_directory(folder)

    # One thread adds sums in the same order every time, and matrices this small gain nothing from more threads.
    torch.set_num_threads(1)
    with threadpool_limits(1):
        result = trained(options.name, options.seed, options.epochs, options.scales)
    write_files(out, result.files)

    for name, prediction in result.predictions.items():
        right = int((prediction == result.labels).sum())
        say(f"{name}: {right} of {len(result.labels)} held-out digits right ({right / len(result.labels):.2%})")
    say(f"{result.remark}files in {out}")
    return 0


def trained(name: str, seed: int, epochs: int, scales: Scales) -> Trained:
    """The network called ``name``, trained and quantised on the training images."""
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    make = partial(_trained_layer, name) if name in PRODUCTS else _trained_network
    return make(seed, epochs, scales)


def _trained_network(seed: int, epochs: int, scales: Scales) -> Trained:
    train_images, images, train_labels, labels = split_digits(seed)
    network = whole_network()
    train(network, train_images, train_labels, epochs)
    with torch.no_grad():
        floats = network(images).argmax(dim=1).numpy()
    quantised = quantise_network(network.merged(), train_images, Precision(bits=8, scales=scales))
    frames = quantised.quantise_images(images.numpy())
    numbers = labels.numpy().astype(np.uint8)
    contents = (network_bytes(quantised.with_argmax()), array_bytes(frames.astype(np.uint8)), array_bytes(numbers))
    return Trained(
        files=dict(zip(FILES[DEFAULT], contents, strict=True)),
        labels=numbers,
        predictions={"float": floats, "8-bit integers": quantised.scores(frames).argmax(axis=1)},
    )


def _trained_layer(name: str, seed: int, epochs: int, scales: Scales) -> Trained:
    train_images, images, train_labels, labels = split_digits(seed)
    network = AroundLayer(PRODUCTS[name])
    train(network, train_images, train_labels, epochs)
    with torch.no_grad():
        layer = quantise(network.xvolution.merge(), network.stem(train_images), relu=True, scales=scales)
        digits = Digits(
            layer=layer,
            frames=quantise_input(layer, network.stem(images).numpy()),
            labels=labels.numpy().astype(np.uint8),
            head_weight=network.linear.weight.numpy(),
            head_bias=network.linear.bias.numpy(),
            float_prediction=network(images).argmax(dim=1).numpy().astype(np.uint8),
        )
    c = layer.config
    sim_shift = "" if c.sim_shift is None else f"sim_shift {c.sim_shift}, "
    integers = digits.logits(integer.run(layer, digits.frames)).argmax(axis=1)
    return Trained(
        files=digits_files(digits, name),
        labels=digits.labels,
        predictions={"float": digits.float_prediction, "8-bit integers": integers},
        remark=f"{sim_shift}attn_shift {c.attn_shift}, ",
    )


def _parser() -> Parser:
    parser = Parser(prog="python -m scripts.train_digits", description=__doc__)
    add = parser.add_argument
    add("name", nargs="?", choices=list(FILES), default=DEFAULT, help=f"what is trained (default: {DEFAULT})")
    add("--seed", type=bounded(int, 0, 2**32 - 1), default=0, help="of data split and training (default: 0)")
    add("--epochs", type=bounded(int, 1, 1000), default=40, help="passes over the data (default: 40)")
    add("--scales", choices=get_args(Scales), default="float", help="value of a step: any, or powers of two (po2)")
    add("--out", type=file_path, metavar="DIR", help=f"folder for the files (default: {LAYERS})")
    return parser


if __name__ == "__main__":
    run(main)
