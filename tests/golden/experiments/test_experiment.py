"""One experiment from settings to figures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from golden.contract.layer_config import LayerConfig
from golden.experiments.experiment import check_settings, run_experiment
from golden.experiments.settings import LATER, SETTINGS
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError

QUICK = {"train_images": 200, "validation_images": 100, "test_images": 60, "epochs": 1, "calibration_images": 16}


def test_defaults_are_allowed_and_checking_twice_changes_nothing() -> None:
    checked = check_settings({})
    assert list(checked) == [name for name in SETTINGS if name not in LATER]
    assert check_settings(checked) == checked == json.loads(json.dumps(checked))
    odd = {"variant": "xvolution", "stages": [3, 1], "bits": [8, 2], "directions": [[0, 1], [0, -1]], "seed": 5}
    checked = check_settings(odd)
    assert check_settings(checked) == checked
    assert (checked["stages"], checked["bits"], checked["data_seed"]) == ([1, 3], [2, 8], 5)
    checked["mixed"]["x"] = 1
    assert check_settings({})["mixed"] == {}


@pytest.mark.parametrize(
    "first, second",
    [
        ({"variant": "conv", "product": "inner", "heads": 8, "stages": [1]}, {}),
        ({"method": "minmax", "qat_epochs": 5, "mixed": {}}, {}),
        ({"bits": [4], "qat_learning_rate": 1}, {"bits": [4]}),
        ({"image_side": 32}, {}),
        ({"scales": "po2"}, {}),
        ({"bits": [4], "scales": "float"}, {"bits": [4]}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"variant": "wide", "features": "signed", "zero_init": True}, {"variant": "wide"}),
        (
            {"variant": "xvolution", "product": "softmax", "directions": 4, "shift": 2},
            {"variant": "xvolution", "product": "softmax"},
        ),
    ],
)
def test_what_has_no_effect_does_not_count(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert json.dumps(check_settings(first)) == json.dumps(check_settings(second))


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"colour": 1}, "setting 'colour' is unknown, allowed are task, data_path"),
        ({"depth": 9}, "setting depth 9 is not allowed, allowed is one of 8, 14, 20, 34, 50"),
        ({"depth": True}, "setting depth True"),
        ({"epochs": 1.0}, "setting epochs 1.0 is not allowed, allowed is an integer from 1 to 10000"),
        ({"epochs": 0}, "setting epochs 0"),
        ({"learning_rate": 0}, "setting learning_rate 0 is not allowed, allowed is a number above 0"),
        ({"learning_rate": float("nan")}, "setting learning_rate nan"),
        (
            {"bits": [9]},
            r"setting bits \[9\] is not allowed, allowed is a list, no entry twice, of integers from 2 to 8",
        ),
        ({"bits": [8, 8]}, "setting bits"),
        ({"bits": 8}, "setting bits 8"),
        ({"augment": [[]]}, "setting augment"),
        ({"directions": []}, "setting directions"),
        ({"directions": [[0, 4]]}, "setting directions"),
        ({"task": "mnist"}, "setting task 'mnist' is not allowed, allowed is one of 'digits'"),
        ({"variant": "xvolution", "stages": []}, "stages .. is not for variant 'xvolution'"),
        ({"variant": "xvolution", "stages": [4]}, "stages has 4, allowed with depth 8 are 1 to 3"),
        ({"variant": "xvolution", "product": "inner", "heads": 3}, "heads 3 does not divide in_channels 32"),
        ({"variant": "xvolution", "product": "softmax", "bits": [8]}, "product 'softmax' has no integer form"),
        ({"variant": "xvolution", "product": "softmax", "qat_bits": [4]}, "product 'softmax' has no integer form"),
        ({"variant": "xvolution", "shift": 3, "directions": [[0, 2]], "bits": [4]}, "reaches 6 pixels"),
        ({"bits": [4], "mixed": {"stem": 9}}, "setting mixed"),
        ({"bits": [4], "mixed": {"stage9": 4}}, "setting mixed names layer 'stage9', allowed are stem, stage1_block1"),
        ({"depth": 50, "block": "pre"}, "depth 50 has bottlenecks"),
    ],
)
def test_refusals_by_name(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        check_settings(settings)
    with pytest.raises(UserError, match=text):
        run_experiment(settings)


def test_a_run_is_decided_by_its_settings() -> None:
    settings = QUICK | {
        "variant": "xvolution",
        "product": "inner",
        "heads": 8,
        "bits": [8, 4],
        "qat_bits": [4],
        "method": "minmax",
        "check_images": 20,
        "mixed": {"stage3_block1_second": 6},
        "split": "test",
        "seed": 3,
    }
    parts: list[float] = []
    kept: dict[tuple[str, int], QuantisedNetwork] = {}
    figures = run_experiment(
        settings, advance=parts.append, keep=lambda how, bits, network: kept.update({(how, bits): network})
    )
    assert sum(parts) == pytest.approx(1)
    assert json.loads(json.dumps(figures)) == figures == run_experiment(settings)
    assert figures["settings"] == check_settings(settings)
    assert list(figures["ptq"]) == ["4", "8"] and list(figures["qat"]) == ["4"]
    assert figures["qat"]["4"]["equal"] is True and figures["qat"]["4"]["checked_images"] == 20
    assert set(kept) == {("ptq", 8), ("ptq", 4), ("qat", 4)}
    assert abs(figures["ptq"]["8"]["metric"] - figures["float"]) < 5
    assert figures["tuned"] != figures["float"] and len(figures["curve"]) == len(figures["qat"]["4"]["curve"]) == 1
    for (how, bits), network in kept.items():
        layers = figures[how][str(bits)]["layers"]
        assert [layer["name"] for layer in layers] == ["stage3_block1_first", "stage3_block1_second"]
        for layer in layers:
            assert LayerConfig.from_json(json.dumps(layer["config"])) == network.layers[layer["name"]].config
        assert [layer["config"]["weight_bits"] for layer in layers] == [bits, 6]


def test_seeds_pair_runs() -> None:
    first = run_experiment(QUICK | {"seed": 1})
    assert first["tuned"] is None and first["ptq"] == first["qat"] == {}
    other = run_experiment(QUICK | {"seed": 1, "data_seed": 2})
    assert first["curve"] != other["curve"]
    assert first["parameters"] == other["parameters"] == 77_754
