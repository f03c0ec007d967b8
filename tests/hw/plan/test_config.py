"""A unit's config: the names that it takes, and its text form, which says everything but the arrays."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.layer import Layer
from golden.contract.ranges import Range
from golden.support.cli import UserError
from golden.support.names import MAX_NAME, MAX_PART_NAME
from hw.control.driver import Driver, complete
from hw.control.registers import register_table
from hw.export.verilog import generate
from hw.plan import config_file
from hw.plan.config import UnitConfig
from hw.plan.config_file import config_fields, config_of_fields, read_manifest_config
from hw.plan.made_of import MadeOf
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from sim.cases.frozen import CASES, named_case
from sim.cases.reloadable import RELOADABLE, reloadable_case

FROZEN, LOADED = "ecp5_8_bit", "single_buffered"


def named(name: str) -> UnitConfig:
    return dataclasses.replace(named_case("plain"), name=name)


@pytest.mark.parametrize("name", ["a", "_", "stem", "Stage3_conv2", "x" * MAX_NAME, "logic_"])
def test_names(name: str) -> None:
    assert named(name).name == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "no Verilog identifier"),
        ("2nd", "no Verilog identifier"),
        ("a-b", "no Verilog identifier"),
        ("a b", "no Verilog identifier"),
        ("a$", "no Verilog identifier"),
        ("\\a", "no Verilog identifier"),
        ("größe", "no Verilog identifier"),
        ("a\n", "no Verilog identifier"),
        ("٣", "no Verilog identifier"),
        ("x" * (MAX_PART_NAME + 1), "at most 136 characters"),
        ("module", "a word of Verilog's own"),
        ("wire", "a word of Verilog's own"),
        ("logic", "a word of Verilog's own"),
        ("DSP48E2", "an FPGA's primitive"),
        ("DP16KD", "an FPGA's primitive"),
    ],
)
def test_names_that_are_refused(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        named(name)


@pytest.mark.parametrize("name", ["frozen", "reloadable"])
def test_text_form_is_read_back(name: str) -> None:
    cases = [named_case(case) for case in CASES] if name == "frozen" else [reloadable_case(case) for case in RELOADABLE]
    for config in cases:
        fields = json.loads(json.dumps(config_fields(config)))
        again = config_of_fields(fields, config.layer)
        assert config_fields(again) == fields
        assert dataclasses.replace(again, layer=config.layer) == config


def test_text_form_has_no_arrays_but_their_hash() -> None:
    config = named_case(FROZEN)
    bias = config.layer.bias.copy()
    bias[0] += 1
    other = config_fields(dataclasses.replace(config, layer=dataclasses.replace(config.layer, bias=bias)))
    own = config_fields(config)
    assert {name for name in own if own[name] != other[name]} == {"arrays_sha256"}


@pytest.mark.parametrize("array", ["conv_weight", "attn_weight", "bias", "multiplier"])
def test_another_layer_is_refused(array: str) -> None:
    config = named_case(FROZEN)
    values = np.array(getattr(config.layer, array))
    values.flat[-1] += 1 if values.flat[-1] < 0 else -1
    with pytest.raises(UserError, match="layer is not the one that the unit was built for"):
        config_of_fields(config_fields(config), dataclasses.replace(config.layer, **{array: values}))


def test_a_frozen_unit_needs_its_layer() -> None:
    with pytest.raises(UserError, match="the layer file is needed, too"):
        config_of_fields(config_fields(named_case(FROZEN)))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), 2, "format 2, allowed is 1"),
        (("name",), "end", "a word of Verilog's own"),
        (("name",), 7, "of the wrong form"),
        (("pack",), 1, "pack 1 .* not true or false"),
        (("target",), "ice40", "target 'ice40' is not one of"),
        (("target",), None, "target None is not one of"),
        (("folding", "simd"), 3, "simd 3 does not divide"),
        (("folding", "simd"), True, "simd True .* is not an integer"),
        (("folding", "pe"), None, "pe None .* is not an integer"),
        (("folding", "pe"), 1.0, "pe 1.0 .* is not an integer"),
        (("folding",), 1, "of the wrong form"),
        (("layer", "kernel"), 2, "kernel 2"),
        (("layer",), None, "config is a JSON NoneType"),
        (("reload", "attn_shift"), [3, 2], "attn_shift .* LOW <= HIGH <= 15"),
        (("reload", "attn_shift"), [0, 1.5], "attn_shift"),
        (("reload", "out_shift"), [0, 99], "out_shift .* <= 47"),
        (("reload", "single_buffered"), "no", "single_buffered 'no'"),
        (("reload",), [], "of the wrong form"),
    ],
)
def test_fields_that_are_refused(path: tuple[str, ...], value: Any, words: str) -> None:
    fields = copy.deepcopy(config_fields(reloadable_case(LOADED)))
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(UserError, match=words):
        config_of_fields(fields)


def test_missing_and_unknown_fields_are_refused() -> None:
    fields = config_fields(reloadable_case(LOADED))
    with pytest.raises(UserError, match="is missing 'pack'"):
        config_of_fields({name: value for name, value in fields.items() if name != "pack"})
    with pytest.raises(UserError, match="has the unknown field 'colour'"):
        config_of_fields({**fields, "colour": 1})


def test_files(tmp_path: Path) -> None:
    config = named_case(FROZEN)
    config_file.save(config, tmp_path)
    again = config_file.load(tmp_path)
    assert config_fields(again) == config_fields(config)
    assert np.array_equal(again.layer.conv_weight, config.layer.conv_weight)


@pytest.mark.parametrize("name", RELOADABLE)
def test_a_stand_in_has_the_same_shapes(name: str) -> None:
    """Of a reloadable unit nothing depends on the arrays, so any stand for those that are not there."""
    config = reloadable_case(name)
    own, other = Shapes(config), Shapes(config.of_layer(Layer.stand_in(config.layer.config)))
    assert (own.ranges, own.plan, own.schedule) == (other.ranges, other.plan, other.schedule)


class RestingBoard:
    """A board whose unit has just been reset: every register has its first value."""

    def __init__(self, config: UnitConfig) -> None:
        self._values = {register.address: register.reset for register in register_table(Shapes(config)).registers}

    async def read(self, address: int) -> int:
        return self._values[address]


def test_driver_of_a_manifest(tmp_path: Path) -> None:
    """The manifest is all that the driver needs."""
    core = generate(reloadable_case(LOADED))
    (tmp_path / "unit.json").write_text(json.dumps(core.manifest))
    driver = Driver.from_manifest(tmp_path / "unit.json", RestingBoard(core.config))  # type: ignore[arg-type]
    found = complete(driver.check_unit())
    assert found == register_table(Shapes(core.config)).constants


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("{", "is not one of hw.build"),
        ("[]", "is not one of hw.build"),
        ("{}", "is not one of hw.build"),
        ('{"config": 1}', "its config is no object"),
        ('{"config": {}}', "is missing"),
    ],
)
def test_manifests_that_are_refused(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "unit.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=words) as told:
        read_manifest_config(path)
    assert str(path) in str(told.value)


def test_manifest_of_a_frozen_unit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "unit.json"
    path.write_text(json.dumps({"config": config_fields(named_case(FROZEN))}))
    with pytest.raises(UserError, match="is that of a frozen unit, allowed is one of hw"):
        read_manifest_config(path)


def test_shifts_beyond_the_limits_are_refused() -> None:
    config = named_case("plain")
    shift = config.layer.config.attn_shift
    with pytest.raises(UserError, match=f"attn_shift {shift} of the layer is not among those of the unit"):
        dataclasses.replace(config, reload=Reload(attn_shift=Range(shift + 1, 15), out_shift=Range(0, 47)))


@pytest.mark.parametrize("name", ["xcup_adders", "ecp5_all_adders", "adders_wire"])
def test_what_multiplications_are_made_of_is_said_where_it_is_asked_for(name: str) -> None:
    config = named_case(name)
    fields = json.loads(json.dumps(config_fields(config)))
    assert {key: fields[key] for key in ("products", "requantise") if key in fields} == config.made_of.asked
    assert config_of_fields(fields, config.layer).made_of == config.made_of
    assert "requantise" not in config_fields(named_case("plain"))
    with pytest.raises(UserError, match="requantise 'luts' is not one of dsp, adders"):
        config_of_fields(fields | {"requantise": "luts"}, config.layer)


@pytest.mark.parametrize("name", ["products", "requantise"])
def test_a_reloadable_unit_is_not_made_of_adders(name: str) -> None:
    config = dataclasses.replace(reloadable_case(LOADED), target=named_case(FROZEN).target)
    with pytest.raises(UserError, match=f"{name} 'adders' is for a frozen unit, a reloadable one has 'dsp'"):
        dataclasses.replace(config, made_of=MadeOf(**{name: "adders"}))
    assert dataclasses.replace(config, made_of=MadeOf(**{name: "dsp"})).made_of.asked == {name: "dsp"}


def test_products_of_adders_need_a_target_with_dsps() -> None:
    with pytest.raises(UserError, match="products 'adders' are for a target with DSPs, generic leaves products to"):
        dataclasses.replace(named_case("plain"), made_of=MadeOf(products="adders"))
