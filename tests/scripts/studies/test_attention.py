"""Maps of where attention is at work: against sums over taps, by their definition, and in a report."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from golden.layers.random_layer import random_layer
from golden.model import integer
from golden.support.cli import UserError
from scripts.studies.attention import attention_share, check, run
from scripts.studies.catalogue import find_study
from scripts.studies.plots import plots
from scripts.studies.report import make_report
from scripts.studies.result import DONE, Result

SMALL: dict[str, Any] = {
    "task": "digits",
    "train_images": 64,
    "validation_images": 20,
    "epochs": 1,
    "variant": "xvolution",
    "product": "inner",
    "images": 2,
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 0}, "setting images 0 is not an integer from 1 to 32"),
        ({"images": True}, "setting images True is not an integer from 1 to 32"),
        ({"variant": "conv"}, "setting variant 'conv' has no attention, allowed is 'xvolution'"),
        ({"bits": [8, 4]}, r"setting bits \[4, 8\] is not one width, with qat_bits \[\]"),
        ({"bits": []}, r"setting bits \[\] is not one width, with qat_bits \[\]"),
        ({"qat_bits": [4]}, r"setting bits \[8\] is not one width, with qat_bits \[\]"),
        ({"product": "softmax"}, "setting product 'softmax' has no integer form"),
        ({"colour": 1}, "setting 'colour' is unknown"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(SMALL | settings)


@pytest.mark.parametrize("groups", [1, 4])
def test_share(groups: int) -> None:
    """At a position in the middle, where no tap is outside: from the weights and elements themselves."""
    rng = np.random.default_rng(groups)
    layer = random_layer(rng, in_channels=4, out_channels=4, groups=groups, height=5, width=6, in_signed=True)
    frame = rng.integers(-100, 100, (4, 5, 6))
    y, x = 2, 3
    of_output = [range(4)] * 4 if groups == 1 else [[c] for c in range(4)]
    attention, convolution = 0, 0
    for o, channels in enumerate(of_output):
        taps = [(frame[c], layer.attn_weight[o, n], layer.conv_weight[o, n]) for n, c in enumerate(channels)]
        offsets = list(enumerate(layer.config.attn_offsets))
        attention += abs(sum(int(w[t] * f[y, x] * f[y + dy, x + dx]) for f, w, _ in taps for t, (dy, dx) in offsets))
        kernel = sum(int((k * f[y - 1 : y + 2, x - 1 : x + 2]).sum()) for f, _, k in taps)
        convolution += abs(kernel) << layer.config.attn_shift
    share = attention_share(layer, frame[None])
    assert share.shape == (1, 5, 6)
    assert share[0, y, x] == pytest.approx(100 * attention / (attention + convolution))


def test_extremes() -> None:
    """All of it without a kernel, none where the image is empty."""
    layer = random_layer(np.random.default_rng(0), in_channels=2, out_channels=2, height=4, width=4)
    alone = dataclasses.replace(layer, conv_weight=np.zeros_like(layer.conv_weight))
    frame = np.ones((1, 2, 4, 4), np.int64)
    reached = (integer.accumulate(dataclasses.replace(alone, bias=np.zeros_like(layer.bias)), frame) != 0).any(axis=1)
    assert (attention_share(alone, frame) == 100 * reached).all() and reached.any()
    assert (attention_share(layer, 0 * frame) == 0).all()


def test_run_and_its_picture() -> None:
    settings = check(SMALL)
    shares: list[float] = []
    figures = run(settings, advance=shares.append)
    assert sum(shares) == pytest.approx(1)
    assert figures == json.loads(json.dumps(figures))
    assert set(figures["ptq"]) == {"8"} and len(figures["examples"]) == 2
    for example in figures["examples"]:
        assert example["maps"].keys() == figures["share"].keys() == {"stage3_block1_first", "stage3_block1_second"}
        assert np.shape(example["pixels"]) == (8, 8)
    means = [np.mean([example["maps"][layer] for example in figures["examples"]]) for layer in figures["share"]]
    assert list(figures["share"].values()) == pytest.approx(means, abs=0.06)

    study = find_study("attention").replaced(["operator=inner"])
    (planned,) = study.runs()
    result = Result(
        content="0",
        code="0",
        function="attention",
        status=DONE,
        settings=settings,
        figures=figures,
        error=None,
        seconds=1.0,
        host="here",
        versions={},
    )
    pictures = {picture.name: picture.svg for picture in plots(make_report(study, "again", [(planned, result)]))}
    picture = pictures["attention"]
    assert picture.startswith("<svg") and picture.count("<image") == 2 * 2 + 1  # and the scale
