"""Trained networks of Brevitas and PyTorch: their files become integers that answer as they do.

`scripts.train_imports` wrote the files, and beside them what Brevitas and PyTorch themselves give for test images.
"""

from __future__ import annotations

import numpy as np
import pytest

from golden.contract.scales import to_steps
from golden.convert.convert import Conversion, convert
from golden.model.network import network as model
from golden.quantise.calibration import Scales
from scripts.imports_sources import ANSWERS, FOLDER, SOURCES
from tests.support.places import ROOT

FILES = ROOT / FOLDER


def answered(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test images as networks take them, the right answers, and the scores of the tool that wrote the file."""
    with np.load(FILES / ANSWERS) as stored:
        pixels, labels, scores = (stored[key] for key in ("images", "labels", SOURCES[name].file.removesuffix(".onnx")))
    return (pixels / np.float32(255)).astype(np.float64), labels, scores


def scores_of(converted: Conversion, images: np.ndarray) -> np.ndarray:
    network = converted.network
    image, scale = network.image, network.output_result.scale
    assert image.scale is not None and scale is not None
    return model.run(network, to_steps(images, image.scale, image.limits)).reshape(len(images), -1) * scale


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.quantised])
def test_integers_give_the_scores_of_their_tool(name: str) -> None:
    """Where scales are powers of two, all of them. Else a result near a tie may be a step off, and scores follow."""
    images, labels, scores = answered(name)
    converted = convert(FILES / SOURCES[name].file)
    found = scores_of(converted, images)
    if SOURCES[name].scales == "po2":
        assert set(converted.bounds.values()) == {0}
        np.testing.assert_array_equal(found.astype(np.float32), scores)
    else:
        assert max(converted.bounds.values()) < 0.5
        assert np.abs(found - scores).max() < 0.05 * np.abs(scores).max()
    assert (found.argmax(axis=1) == labels).sum() >= 6


@pytest.mark.parametrize("scales", ["float", "po2"])
def test_a_float_file_is_quantised_here(scales: Scales) -> None:
    """Its scores are those of PyTorch, but for what 8 bits cost."""
    images, labels, scores = answered(f"separable_{scales}")
    converted = convert(FILES / SOURCES[f"separable_{scales}"].file, images, scales=scales)
    found = scores_of(converted, images)
    assert converted.changed == 0 and (found.argmax(axis=1) == labels).sum() >= 6
    assert 0 < np.abs(found - scores).max() < 0.1 * np.abs(scores).max()
