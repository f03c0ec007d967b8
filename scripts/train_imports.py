"""Train the networks that scripts.imports converts, and write them as other tools' files.

A residual network and a separable one are trained in floats on Fashion-MNIST. Brevitas trains the residual one on, in
8 and in 4 bits, with scales that are powers of two and with scales that are not, and writes QONNX. PyTorch writes the
separable one as ONNX. Beside the files are the first test images, and what each file's own tool answers to them.

It takes a minute or two of one core.

Examples:
    python -m scripts.train_imports
    python -m scripts.train_imports --seed 1 --out trained
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from golden.support import cli
from golden.support.progress import progress
from golden.support.terminal import say
from golden.training import Task, load_task
from golden.training.task import Classification
from golden.training.train import Schedule, evaluate, predict, reproducible, train
from scripts.checkout import in_checkout
from scripts.imports_files import Session, onnx_bytes, qdq_bytes, qonnx_bytes, quiet
from scripts.imports_networks import Brevitas, Classifier, Floats, Kit, residual, separable, started
from scripts.imports_sources import ANSWERS, BREVITAS, FOLDER, QDQ, SEPARABLE, SOURCES, TASK

#: Images that are trained on, and those of them that are kept for validation.
IMAGES, VALIDATION = 20_000, 1000
#: Test images whose scores are written down.
ANSWERED = 8
#: How networks are trained in floats, and how Brevitas trains them on, with half of the images. Its scales follow from
#: the first 300 steps, and are trained then.
FLOATS: Mapping[str, Any] = {"epochs": 4, "batch": 128}
ON: Mapping[str, Any] = {"epochs": 1, "batch": 32, "learning_rate": 0.002, "weight_decay": 0.0}
FILES = (*dict.fromkeys(source.file for source in SOURCES.values()), ANSWERS)


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    folder = options.out or in_checkout(FOLDER, "--out DIR")
    cli.check_folder(folder, FILES)
    task = load_task(TASK, path=options.data_path, train_images=options.images, validation_images=VALIDATION)
    out = cli.output_directory(folder)
    first = task.test.subset(slice(ANSWERED))
    files: dict[str, bytes] = {}
    answers: dict[str, Any] = {"images": first.pixels.numpy(), "labels": first.targets.numpy().astype(np.uint8)}
    for made in written(task, options.seed):
        files[made.file] = made.content
        answers[Path(made.file).stem] = made.scores
        say(f"{made.file}: {made.accuracy:.2f} % of validation images right")
    stream = io.BytesIO()
    np.savez_compressed(stream, **answers)
    cli.write_files(out, files | {ANSWERS: stream.getvalue()})
    say(f"files in {out}")
    return 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """A trained network as a file.

    Attributes:
        file: its name.
        content: its bytes.
        scores: what its own tool gives for the first test images, float32 ``[N, 10]``.
        accuracy: in percent of the validation images.
    """

    file: str
    content: bytes
    scores: np.ndarray
    accuracy: float


def written(task: Task, seed: int) -> Iterator[Written]:
    """All files but `ANSWERS`, one after the other."""
    with quiet():
        # First, as Brevitas may not be there.
        kits = {
            source.file: Brevitas(bits=source.bits, po2=source.scales == "po2")
            for source in SOURCES.values()
            if source.tool == BREVITAS
        }
    floats = trained_floats(separable, task, seed)
    yield _written(f"{SEPARABLE}.onnx", floats, onnx_bytes(floats, task), task)
    floats = trained_floats(residual, task, seed)
    content = qdq_bytes(floats, task)
    yield _written(QDQ.file, Session(content), content, task)
    for file, kit in kits.items():
        yield trained_on(file, kit, floats, task, seed)


def trained_floats(make: Callable[[Kit], Classifier], task: Task, seed: int) -> Classifier:
    """The network that ``make`` makes, trained in floats."""
    with reproducible(seed):
        network = make(Floats())
        _train(make.__name__, network, task, Schedule(**FLOATS, seed=seed))
    return network


def trained_on(file: str, kit: Brevitas, floats: Classifier, task: Task, seed: int) -> Written:
    """The residual network ``floats``, made of ``kit`` and trained on."""
    half = task.train.subset(slice(len(task.train) // 2))
    less = Classification(task.name, half, task.validation, task.test, task.outputs)
    with reproducible(seed), quiet():
        network = started(floats, kit)
        _train(file, network, less, Schedule(**ON, seed=seed))
        return _written(file, network, qonnx_bytes(network, task), task)


def _written(file: str, network: nn.Module, content: bytes, task: Task) -> Written:
    scores = predict(network, task.test.subset(slice(ANSWERED))).numpy()
    return Written(file=file, content=content, scores=scores, accuracy=evaluate(network, task, task.validation))


def _train(name: str, network: nn.Module, task: Task, schedule: Schedule) -> None:
    with progress(f"training {name}", 1.0) as advance:
        train(network, task, schedule, advance=advance)


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.train_imports", description=__doc__)
    add = parser.add_argument
    add("--seed", type=cli.bounded(int, 0, 2**32 - 1), default=0, help="of weights and images' order (default: 0)")
    add("--images", type=cli.bounded(int, 1, 59_000), default=IMAGES, help=f"to train on (default: {IMAGES})")
    add("--data-path", metavar="FOLDER", help="where the data set is (default: where its package puts it)")
    add("--out", type=cli.file_path, metavar="DIR", help=f"folder for the files (default: {FOLDER})")
    return parser


if __name__ == "__main__":
    cli.run(main)
