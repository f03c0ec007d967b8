"""The studies there are: the question of each, and the grid that answers it.

Settings of the function ``experiment`` are in `golden.experiments.settings`. Studies that search for settings
count on validation images. Studies that confirm count on test images. Subsets of a data set are always the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from golden.support.cli import UserError
from scripts.studies.functions import Settings
from scripts.studies.grid import Study

#: What takes a convolution's place: a plain convolution, two controls with equal parameters, and each product.
OPERATORS: dict[str, Settings] = {
    "conv": {"variant": "conv"},
    "wide": {"variant": "wide"},
    "linear_shift": {"variant": "linear_shift"},
    "hadamard": {"variant": "xvolution", "product": "hadamard"},
    "inner": {"variant": "xvolution", "product": "inner", "heads": 8},
    "dynamic": {"variant": "xvolution", "product": "dynamic", "heads": 8},
}
PRODUCTS = ("conv", "hadamard", "inner", "dynamic")
BASELINE = {"operator": "conv"}

DIGITS = {"task": "digits", "depth": 8, "epochs": 8}
#: Fashion-MNIST as far as two cores take it: a third of its training images, three times.
FASHION = {"task": "fashion_mnist", "depth": 8, "train_images": 20_000, "epochs": 3}
#: A search for settings has many runs, so it makes do with half of these images.
SEARCH = FASHION | {"train_images": 10_000}
#: What trains in several numbers of bits again and again makes do with fewer still.
SHORT = FASHION | {"train_images": 5_000, "epochs": 4, "test_images": 2_000}
SEEDS = (0, 1, 2, 3, 4)
FEW_SEEDS = (0, 1, 2)
#: Bits that networks are quantised to, and bits that they are trained in, too.
BITS: Settings = {"bits": [8, 6, 5, 4, 3, 2], "qat_bits": [4, 3, 2]}

#: One change each, from the product ``inner`` in the last stage.
CHANGES: dict[str, Settings] = {
    "conv": {"variant": "conv"},
    "inner": {},
    "hadamard": {"product": "hadamard", "heads": None},
    "dynamic": {"product": "dynamic"},
    "softmax": {"product": "softmax"},
    "2 heads": {"heads": 2},
    "32 heads": {"heads": 32},
    "stage 1": {"stages": [1]},
    "stage 2": {"stages": [2]},
    "stages 2 and 3": {"stages": [2, 3]},
    "all stages": {"stages": [1, 2, 3]},
    "first place": {"place": "first"},
    "second place": {"place": "second"},
    "4 directions": {"directions": 4},
    "shift 2": {"shift": 2},
    "stack 2": {"stack": 2},
    "weighting 3": {"weighting": 3},
    "starts as a convolution": {"zero_init": True},
    "signed features": {"features": "signed"},
    "normed features": {"features": "normed"},
    "pre-activation, conv": {"variant": "conv", "block": "pre"},
    "pre-activation": {"block": "pre"},
    "pre-activation, signed": {"block": "pre", "features": "signed"},
    "slower": {"learning_rate": 0.003},
    "longer": {"epochs": 6},
    "longer, conv": {"variant": "conv", "epochs": 6},
}
#: Changes that help by themselves, combined.
COMBINED: dict[str, Settings] = {
    "inner, signed, starts as a convolution": {"features": "signed", "zero_init": True},
    "hadamard, signed": {**CHANGES["hadamard"], "features": "signed"},
    "hadamard, starts as a convolution": {**CHANGES["hadamard"], "zero_init": True},
    "hadamard, signed, starts as a convolution": {**CHANGES["hadamard"], "features": "signed", "zero_init": True},
    "all of it, pre-activation": {**CHANGES["hadamard"], "features": "signed", "zero_init": True, "block": "pre"},
}


def _operators(names: Iterable[str]) -> dict[str, Settings]:
    return {name: OPERATORS[name] for name in names}


_ALL = (
    Study(
        name="digits",
        title="The whole path in minutes",
        description="Operators on small handwritten digits, which train in minutes, in floats and in 8, 6 and 4 bits.",
        fixed=DIGITS | {"split": "test", "bits": [8, 6, 4]},
        axes={"operator": _operators(PRODUCTS), "seed": FEW_SEEDS},
        baseline=BASELINE,
        metrics=("float", "ptq.?", "parameters"),
    ),
    Study(
        name="fashion",
        title="Does X-volution beat a convolution?",
        description="Does X-volution in the last stage beat a convolution on Fashion-MNIST, or controls of equal size?",
        fixed=FASHION | {"split": "test"},
        axes={"operator": OPERATORS, "seed": SEEDS},
        baseline=BASELINE,
        metrics=("float", "parameters"),
    ),
    Study(
        name="stages",
        title="In which stages is X-volution worth most?",
        description="In which stages X-volution is worth most: the ablation of its paper, on Fashion-MNIST.",
        fixed=SEARCH,
        axes={
            "where": {
                "none": {"variant": "conv"},
                **{
                    f"stage {', '.join(map(str, stages))}": {**OPERATORS["inner"], "stages": stages}
                    for stages in ([1], [2], [3], [2, 3], [1, 2, 3])
                },
            },
            "seed": FEW_SEEDS,
        },
        baseline={"where": "none"},
        metrics=("float", "parameters"),
    ),
    Study(
        name="bits",
        title="What do few bits cost?",
        description="What few bits cost: post-training quantisation and training in them, 8 to 2 bits, Fashion-MNIST.",
        fixed={**FASHION, **BITS, "split": "test"},
        axes={"operator": _operators(PRODUCTS), "seed": FEW_SEEDS},
        baseline=BASELINE,
        metrics=("float", "tuned", "ptq.?", "qat.?"),
    ),
    Study(
        name="pareto",
        title="What does the hardware pay?",
        description="Accuracy against what the hardware takes, by operator, bits and folding; the runs of bits.",
        fixed={**FASHION, **BITS, "split": "test"},
        axes={"operator": _operators(PRODUCTS), "seed": FEW_SEEDS},
        baseline=BASELINE,
        metrics=("float", "ptq.?", "qat.?"),
        target="xcup",
        synthesised={"qat.4": 50_176},
    ),
    Study(
        name="scales",
        title="What do power-of-two scales cost?",
        description="Power-of-two scales against free ones in 8, 6 and 4 bits, after training and trained in them.",
        fixed=SHORT | {"split": "test", "bits": [8, 6, 4], "qat_bits": [8, 6, 4]},
        axes={
            "operator": {
                "conv": OPERATORS["conv"],
                "hadamard, signed": {**OPERATORS["hadamard"], "features": "signed"},
            },
            "scales": ("float", "po2"),
            "seed": FEW_SEEDS,
        },
        baseline={"scales": "float"},
        metrics=("float", "tuned", "ptq.?", "qat.?"),
        target="xcup",
    ),
    Study(
        name="attention",
        title="Where is attention at work?",
        description="Where in images of Fashion-MNIST the attention of a trained network is at work.",
        function="attention",
        fixed={**FASHION, "split": "test"},
        axes={"operator": _operators(PRODUCTS[1:]), "seed": (0,)},
        metrics=("float", "ptq.?", "share.*"),
    ),
    Study(
        name="approximation",
        title="What do pixel shifts make of self-attention?",
        description="How well pixel shifts stand for self-attention that learned from images, by product and shift.",
        function="approximation",
        fixed={"stack": 4},
        axes={"product": ("hadamard", "inner", "dynamic"), "seed": SEEDS},
        baseline={"product": "hadamard"},
        metrics=(
            "error.* trained.convolution",
            "error.* trained.pixel shifts, weighting ?, stack [12].?",
            "error.* trained.both, weighting 3, stack 1.?",
            "correlation.* trained.both, weighting 3, stack 1.?",
            "sees.pixel shifts, weighting ?, stack [12].?",
            "sees.self-attention",
            "grows.*",
        ),
        numbered="shift in pixels",
        number="shift {}",
    ),
    Study(
        name="helps",
        title="Which settings help?",
        description="Which settings help X-volution most: one changed at a time, then several; validation images.",
        fixed={**SEARCH, **OPERATORS["inner"]},
        axes={"change": CHANGES | COMBINED, "seed": FEW_SEEDS},
        baseline={"change": "conv"},
        metrics=("float", "parameters"),
    ),
    Study(
        name="confirm",
        title="Does the best of them hold?",
        description="What helps most on validation images, once more on test images, beside what is in fashion.",
        fixed=FASHION | {"split": "test"},
        axes={
            "operator": _operators(("conv", "wide", "linear_shift", "hadamard"))
            | {f"{name}, signed": {**OPERATORS[name], "features": "signed"} for name in ("linear_shift", "hadamard")},
            "seed": SEEDS,
        },
        baseline=BASELINE,
        metrics=("float", "parameters"),
    ),
)

STUDIES: dict[str, Study] = {study.name: study for study in _ALL}


def find_study(name: str) -> Study:
    """The study called ``name``. Raises `UserError` if there is none."""
    if name not in STUDIES:
        raise UserError(f"study {name!r} is not one of {', '.join(STUDIES)}")
    return STUDIES[name]
