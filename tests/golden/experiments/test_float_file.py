"""Float files: what is written is read, and what is wrong is refused by name."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.experiments.float_file import Trained, float_bytes, parse_float, read_float
from golden.experiments.settings import build_network, check_settings
from golden.support.cli import UserError

SETTINGS: dict[str, Any] = {"variant": "xvolution", "features": "signed", "bits": [8], "seed": 3}


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A network whose batch norms have seen nothing: its merged form has weights all the same."""
    settings = check_settings(SETTINGS)
    torch.manual_seed(0)
    network = build_network(settings, 1, 10).eval().merged()
    return Trained(network=network, settings=settings, in_channels=1, outputs=10)


def test_what_is_written_is_read(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "float.npz"
    path.write_bytes(float_bytes(trained))
    again = read_float(path)
    assert (again.settings, again.in_channels, again.outputs) == (trained.settings, 1, 10)
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(again.network(images), trained.network(images))
    assert float_bytes(again) == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "network"}, "kind is not 'float'"),
        ({"outputs": 0}, "outputs 0 is not an integer from 1"),
        ({"settings": []}, "settings are not a JSON object"),
        ({"settings": {"depth": 9}}, "setting depth 9 is not allowed"),
        ({"outputs": 11}, r"parts.head.weight has shape \[10, 64\] and dtype float32, the settings need \[11, 64\]"),
        ({"settings": {"variant": "conv", "depth": 20}}, "array .* is missing"),
    ],
)
def test_other_texts_are_refused(trained: Trained, change: dict[str, Any], message: str) -> None:
    with np.load(io.BytesIO(float_bytes(trained))) as archive:
        arrays = dict(archive)
    fields = json.loads(str(arrays.pop("config")))
    with pytest.raises(UserError, match=message):
        parse_float(packed(fields | change, arrays))


def test_numbers_that_are_none_are_refused(trained: Trained) -> None:
    with np.load(io.BytesIO(float_bytes(trained))) as archive:
        arrays = dict(archive)
    fields = json.loads(str(arrays.pop("config")))
    arrays["parts.stem.bias"][0] = np.nan
    with pytest.raises(UserError, match=r"parts.stem.bias has a value that is NaN or infinite"):
        parse_float(packed(fields, arrays))


def packed(fields: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    content: dict[str, Any] = {"config": np.array(json.dumps(fields)), **arrays}
    np.savez(buffer, **content)
    return buffer.getvalue()
