"""Train the network around a checked-in layer, ``digits`` or ``digits_dynamic``, and quantise that layer.

Examples:
    python -m scripts.train_digits
    python -m scripts.train_digits --product dynamic
    python -m scripts.train_digits --seed 7 --epochs 20 --out build/digits

The network tells scikit-learn's 1797 handwritten digits (8x8 pixels) apart. It has a 3x3 stem
convolution, an X-volution layer 16 -> 16 in place of the second convolution, a 2x2 average pool and
a linear head. A fifth of the images is held out: neither training nor calibration sees them. The
files written are

    digits.npz              the quantised X-volution layer
    digits_activations.npy  the layer's real integer inputs, all held-out images [N, 16, 8, 8]
    digits_network.npz      labels and head, to compute an accuracy from the layer's output

For the ``dynamic`` product, their names begin with digits_dynamic instead of digits. The same seed
gives the same files on the same machine.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from golden.contract.scales import quantise_input
from golden.layers.digits import CLASSES, LAYER_NAMES, POOL, Digits, file_names, write_digits
from golden.model import integer
from golden.operators.xvolution import XVolution
from golden.quantise.layer import quantise
from golden.support.cli import Parser, bounded, check_folder, file_path, output_directory, run
from golden.support.progress import progress
from golden.support.terminal import say
from scripts.checkout import in_checkout

#: Folder of the checked-in layers.
LAYERS = "golden/layers"
CHANNELS = 16
SIDE = 8
HELD_OUT = 360
BATCH = 64
LEARNING_RATE = 0.01


class DigitsNetwork(nn.Module):
    """Maps digits ``[N, 1, 8, 8]`` to the scores of their ten classes ``[N, 10]``."""

    def __init__(self, product: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.xvolution = XVolution(CHANNELS, CHANNELS, product=product)
        self.linear = nn.Linear(CHANNELS * (SIDE // POOL) ** 2, CLASSES)
        self.head = nn.Sequential(nn.ReLU(), nn.AvgPool2d(POOL), nn.Flatten(), self.linear)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.xvolution(self.stem(x)))


def split_digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images, held-out images (``[N, 1, 8, 8]``, 0 to 1), training labels, held-out labels."""
    data = load_digits()
    images = torch.from_numpy(data.images / 16).float()[:, None]
    labels = torch.from_numpy(data.target)
    return tuple(train_test_split(images, labels, test_size=HELD_OUT, random_state=seed, stratify=labels))


def train(network: DigitsNetwork, images: Tensor, labels: Tensor, epochs: int) -> None:
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
    check_folder(folder, file_names(LAYER_NAMES[options.product]))
    out = output_directory(folder)

    # One thread adds sums in the same order every time, and matrices this small gain nothing from more threads.
    torch.set_num_threads(1)
    with threadpool_limits(1):
        result = trained(options.seed, options.epochs, options.product)
        write_digits(out, result, LAYER_NAMES[options.product])
        integer_prediction = result.logits(integer.run(result.layer, result.frames)).argmax(axis=1)

    for name, prediction in (("float", result.float_prediction), ("8-bit integers", integer_prediction)):
        right = result.correct(prediction)
        say(f"{name}: {right} of {HELD_OUT} held-out digits right ({right / HELD_OUT:.2%})")
    c = result.layer.config
    sim_shift = "" if c.sim_shift is None else f"sim_shift {c.sim_shift}, "
    say(f"{sim_shift}attn_shift {c.attn_shift}, files in {out}")
    return 0


def trained(seed: int, epochs: int, product: str) -> Digits:
    """A network trained and quantised on the training images, with its results on the held-out images."""
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    train_images, images, train_labels, labels = split_digits(seed)
    network = DigitsNetwork(product)
    train(network, train_images, train_labels, epochs)
    with torch.no_grad():
        layer = quantise(network.xvolution.merge(), network.stem(train_images), relu=True)
        return Digits(
            layer=layer,
            frames=quantise_input(layer, network.stem(images).numpy()),
            labels=labels.numpy().astype(np.uint8),
            head_weight=network.linear.weight.numpy(),
            head_bias=network.linear.bias.numpy(),
            float_prediction=network(images).argmax(dim=1).numpy().astype(np.uint8),
        )


def _parser() -> Parser:
    parser = Parser(prog="python -m scripts.train_digits", description=__doc__)
    add = parser.add_argument
    add("--product", choices=list(LAYER_NAMES), default="hadamard", help="of the layer (default: hadamard)")
    add("--seed", type=bounded(int, 0, 2**32 - 1), default=0, help="of data split and training (default: 0)")
    add("--epochs", type=bounded(int, 1, 1000), default=40, help="passes over the data (default: 40)")
    add("--out", type=file_path, metavar="DIR", help=f"folder for the files (default: {LAYERS})")
    return parser


if __name__ == "__main__":
    run(main)
