"""Estimates against synthesis, and the folding that is chosen by them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_file import write_layer
from golden.contract.ranges import Range
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from hw import build
from hw.estimate import layer_space as layer_space_module
from hw.estimate.choose_for_device import choose
from hw.estimate.estimate import Estimate, estimate
from hw.estimate.fit import CERTAIN, fits, verdict
from hw.estimate.layer_space import LayerSpace, check_fit, legal_foldings
from hw.estimate.wish import Wish
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import dsp_counts
from hw.plan.made_of import MATERIALS, USUAL, MadeOf
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.synth.mapping import map_to_cells
from hw.synth.resources import total_area
from hw.synth.stages import STAGES
from hw.targets.area import Area
from hw.targets.devices import CAPACITY, DEVICES
from hw.targets.families import TARGETS
from sim.cases.frozen import random_case
from sim.cases.reloadable import random_reloadable_case
from tests.support.refusals import Refuse, refusal
from tests.support.tiers import by_day, nightly, thorough, thorough_from

TOLERANCE = 0.2


def small_layer(**fields: Any) -> Layer:
    """4 -> 4 channels, 8x8 pixels, signed input where not said."""
    defaults = {"in_channels": 4, "out_channels": 4, "height": 8, "width": 8, "in_signed": True}
    return random_layer(np.random.default_rng(2), **(defaults | fields))


# --- the figures ---


RELOAD = Reload(attn_shift=Range(0, 7), out_shift=Range(0, 47))


#: Units beside synthesis by name: target, folding, and fields of the layer.
SYNTHESISED: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "ecp5": ("ecp5", 1, 1, {"height": 32, "width": 32}),
    "ecp5_stride_2_4_bit": ("ecp5", 2, 2, {"stride": 2, "in_bits": 4, "weight_bits": 4}),
    "xcup_plain": ("xcup", 2, 2, {"in_channels": 16, "height": 32, "width": 32, "attn_offsets": ()}),
    "ecp5_half_up": ("ecp5", 1, 4, {"kernel": 1, "attn_offsets": (), "rounding": "half_up"}),
    "ecp5_floor": ("ecp5", 1, 4, {"kernel": 1, "attn_offsets": (), "rounding": "floor"}),
    "ecp5_attention_of_adders": ("ecp5", 2, 2, {"product": "dynamic", "heads": 2}),
    # Half of the rows and half of the columns are never read. Their block RAMs are not there.
    "ecp5_projection": ("ecp5", 2, 2, {"kernel": 1, "stride": 2, "attn_offsets": (), "in_channels": 32}),
}


@thorough
@pytest.mark.parametrize(
    ("name", "reloadable"),
    by_day(
        itertools.product(SYNTHESISED, (False, True)),
        [("ecp5_projection", False), ("ecp5", True)],
    ),
)
def test_against_synthesis(name: str, reloadable: bool) -> None:
    target, simd, pe, fields = SYNTHESISED[name]
    layer, reload = small_layer(**fields), RELOAD if reloadable else None
    config = UnitConfig(layer=layer, folding=Folding(simd=simd, pe=pe), target=TARGETS[target], reload=reload)
    guess = estimate(config)
    core = generate(config)
    truth = total_area(map_to_cells(core))
    assert (guess.dsp, guess.bram) == (truth.dsp, truth.bram)
    assert guess.lut == pytest.approx(truth.lut, rel=TOLERANCE)
    assert guess.ff == pytest.approx(truth.ff, rel=TOLERANCE)
    assert guess.frame_cycles == core.manifest["timing"]["predicted_frame_cycles"]
    assert guess.latency == core.manifest["timing"]["predicted_latency"]


@thorough
@pytest.mark.parametrize(
    ("target", "simd", "pe", "made_of"),
    [
        pytest.param("ecp5", 1, 2, MadeOf(requantise="adders"), marks=nightly),
        pytest.param("xcup", 2, 2, MadeOf(requantise="adders"), marks=nightly),
        ("xcup", 1, 1, MadeOf(products="adders", requantise="adders")),
    ],
    ids=["ecp5", "xcup", "xcup_all_adders"],
)
def test_adders_against_synthesis(target: str, simd: int, pe: int, made_of: MadeOf) -> None:
    layer = small_layer(attn_offsets=(), height=16, width=16)
    folding = Folding(simd=simd, pe=pe)
    config = UnitConfig(layer=layer, folding=folding, target=TARGETS[target], made_of=made_of)
    guess, truth = estimate(config), total_area(map_to_cells(generate(config)))
    assert (guess.dsp, guess.bram) == (truth.dsp, truth.bram)
    assert guess.lut == pytest.approx(truth.lut, rel=TOLERANCE)
    assert guess.ff == pytest.approx(truth.ff, rel=TOLERANCE)


@pytest.mark.parametrize("draw", [random_case, pytest.param(random_reloadable_case, marks=nightly)])
@pytest.mark.parametrize("seed", thorough_from(range(2), 0, 1))
def test_no_unit_is_refused_that_fits(draw: Callable[[np.random.Generator], UnitConfig], seed: int) -> None:
    """What decides alone is exact, and what does not is never as far off as the margin."""
    config = replace(draw(np.random.default_rng([98, seed])), target=TARGETS["ecp5"])
    guess, truth = estimate(config), total_area(map_to_cells(generate(config)))
    assert (guess.dsp, guess.bram) == (truth.dsp, truth.bram)
    assert guess.lut <= CERTAIN * truth.lut and guess.ff <= CERTAIN * truth.ff


@pytest.mark.parametrize("target", ["ecp5", "xc7", "xcup"])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("fields", [{}, {"attn_offsets": ()}, {"groups": 4}, {"weight_bits": 2}], ids=str)
@pytest.mark.parametrize("made_of", [USUAL, MadeOf(requantise="adders"), MadeOf(products="adders")], ids=str)
def test_multipliers_of_each_kind_add_up(target: str, pack: bool, fields: dict[str, Any], made_of: MadeOf) -> None:
    folding = Folding(simd=2, pe=2)
    config = UnitConfig(
        layer=small_layer(**fields), folding=folding, target=TARGETS[target], pack=pack, made_of=made_of
    )
    counts = dsp_counts(Shapes(config))
    assert sum(counts.values()) == estimate(config).dsp
    assert (counts["requantise"] == 0) == (made_of.requantise == "adders")
    assert made_of.products is None or sum(counts.values()) == counts["requantise"]


@pytest.mark.parametrize("target", thorough_from(["ecp5", "xcup"], 1, 1))
@pytest.mark.parametrize("fields", thorough_from([{}, {"product": "dynamic"}, {"attn_offsets": ()}], 1), ids=str)
def test_a_reloadable_unit(target: str, fields: dict[str, Any]) -> None:
    """Its cycles are those of the unit that is built, and its stages those that synthesis finds in it."""
    layer = small_layer(**fields)
    config = UnitConfig(layer=layer, folding=Folding(simd=2, pe=2), target=TARGETS[target], reload=RELOAD)
    guess, timing = estimate(config), generate(config).manifest["timing"]
    assert (guess.frame_cycles, guess.latency) == (timing["predicted_frame_cycles"], timing["predicted_latency"])
    assert guess.dsp in (None, sum(dsp_counts(Shapes(config)).values()))
    for stage in ("control", "frame_sets", "frame_writer"):
        assert guess.stages[stage].lut > 0 and guess.stages[stage].ff > 0
    assert set(guess.stages) <= set(STAGES)


def test_nothing_is_said_where_synthesis_chooses() -> None:
    guess = estimate(UnitConfig(layer=small_layer(), folding=Folding(simd=1, pe=1)))
    assert (guess.dsp, guess.bram) == (None, None)
    assert guess.lut > 0 and guess.ff > 0


# --- the folding ---


def largest_share(unit: Estimate, device: str, fill: float = 1) -> Fraction:
    """Of what may be used: less of what is not counted exactly."""
    has, shares = CAPACITY[device], []
    for key, margin in (("lut", Fraction(5, 4)), ("ff", Fraction(5, 4)), ("dsp", 1), ("bram", 1)):
        shares.append(Fraction(getattr(unit, key)) * margin / (getattr(has, key) * Fraction(str(fill))))
    return max(shares)


@pytest.mark.parametrize("fill", [1, 0.5])
@pytest.mark.parametrize("fps", [1, 400_000, 800_000, 1_500_000, None])
@pytest.mark.parametrize("fields", [{}, {"groups": 4}, {"attn_offsets": (), "weight_bits": 4}], ids=str)
def test_folding_against_brute_force(fps: float | None, fields: dict[str, Any], fill: float) -> None:
    layer = small_layer(**fields)
    wish = Wish(device=DEVICES["ecp5-45f"], fps=fps, clock_mhz=200, fill=fill)
    units = [
        estimate(UnitConfig(layer=layer, folding=Folding(simd=simd, pe=pe), target=TARGETS["ecp5"], made_of=made_of))
        for simd in (1, 2, 4)
        for pe in (1, 2, 4)
        for made_of in (MadeOf(products=a, requantise=b) for a in MATERIALS for b in MATERIALS)
        if not layer.config.depthwise or simd == pe
    ]
    assert set(map(str, legal_foldings(layer.config))) == {str(unit.config.folding) for unit in units}
    fitting = [unit for unit in units if largest_share(unit, "ecp5-45f", fill) <= 1]
    fastest = min(unit.frame_cycles for unit in fitting)
    enough = [unit for unit in fitting if unit.frame_cycles <= (fastest if fps is None else 200e6 / fps)]
    space = LayerSpace(replace(units[0].config, made_of=USUAL), wish)
    if enough:
        best = min(enough, key=lambda unit: (largest_share(unit, "ecp5-45f", fill), unit.dsp, unit.lut))
        chosen = choose(space)
        value = (largest_share(best, "ecp5-45f", fill), best.dsp, best.lut)
        assert chosen.found.value == value and chosen.found.is_least
        # The next fewer cycles that any unit takes, and the next more of a unit that takes less.
        fewer = [unit.frame_cycles for unit in units if unit.frame_cycles < best.frame_cycles]
        assert (chosen.faster and chosen.faster.cycles) == max(fewer, default=None)
        if fps is None:
            assert chosen.faster is None or not chosen.faster.fits
        if chosen.slower is not None:
            assert chosen.slower.cycles > best.frame_cycles and chosen.slower.value < chosen.found.value
    else:
        # The rate that is named is one that can be had.
        with pytest.raises(UserError, match=r"at most ([\d,]+) frames/s fit$") as caught:
            choose(space)
        found = re.search(r"at most ([\d,]+)", str(caught.value))
        assert found is not None
        most = float(found[1].replace(",", ""))
        assert most == math.floor(200e6 / fastest)
        config = replace(units[0].config, made_of=USUAL)
        assert choose(LayerSpace(config, replace(wish, fps=most))).found.cycles <= 200e6 / most


@pytest.mark.parametrize(
    ("lut", "ff", "dsp", "said", "refused"),
    [
        (19_000, 19_000, 28, "yes", False),
        (24_000, 19_000, 28, "perhaps: about 24,000 LUT of 24,288, which may be 20 % off", False),
        (19_000, 26_000, 28, "perhaps: about 26,000 FF of 24,288, which may be 20 % off", False),
        (36_000, 19_000, 28, "no: about 36,000 LUT of 24,288", False),
        (36_500, 19_000, 28, "no: about 36,500 LUT of 24,288", True),
        (19_000, 19_000, 29, "no: 29 DSP of 28", True),
        (36_500, 19_000, 29, "no: about 36,500 LUT of 24,288, 29 DSP of 28", True),
    ],
)
def test_verdicts(monkeypatch: pytest.MonkeyPatch, lut: int, ff: int, dsp: int, said: str, refused: bool) -> None:
    """A unit is refused only for what is exact, and for estimates that are far beyond their error."""
    config = UnitConfig(layer=small_layer(), folding=Folding(simd=1, pe=1), target=TARGETS["ecp5"])
    unit = replace(estimate(config), dsp=dsp, stages={"top": Area(lut=lut, ff=ff)})
    assert verdict(unit, "ecp5-25f") == said
    monkeypatch.setattr(layer_space_module, "estimate", lambda config: unit)
    if refused:
        with pytest.raises(
            UserError, match=re.escape(f"simd 1, pe 1 do not fit ecp5-25f: {said.removeprefix('no: ')}")
        ):
            check_fit(config, "ecp5-25f")
    else:
        check_fit(config, "ecp5-25f")


def test_what_synthesis_chooses_is_not_refused() -> None:
    """The same unit is refused where its multipliers are known."""
    generic = UnitConfig(layer=small_layer(), folding=Folding(simd=4, pe=4))
    check_fit(generic, "ecp5-25f")
    assert verdict(estimate(generic), "ecp5-25f").startswith("perhaps")
    with pytest.raises(UserError, match="296 DSP of 28"):
        check_fit(replace(generic, target=TARGETS["ecp5"]), "ecp5-25f")


def test_what_fits() -> None:
    unit = estimate(UnitConfig(layer=small_layer(), folding=Folding(simd=2, pe=2), target=TARGETS["ecp5"]))
    assert unit.dsp is not None and unit.dsp > CAPACITY["ecp5-45f"].dsp
    assert [fits(unit, device) for device in CAPACITY if device.startswith("ecp5")] == [False, False, False, True]


# --- the commands ---


@pytest.fixture
def layer_file(tmp_path: Path) -> str:
    write_layer(tmp_path / "layer.npz", small_layer())
    return str(tmp_path / "layer.npz")


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    monkeypatch.chdir(tmp_path)
    return refusal(build.main, lambda: sorted(map(str, tmp_path.rglob("*"))), monkeypatch, capfd)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--simd", "1", "--pe", "1"), "yes"),
        (("--simd", "2", "--pe", "1"), "no: 38 DSP of 28"),
    ],
    ids=["fits", "too_large"],
)
def test_does_this_folding_fit(
    layer_file: str, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    """A device needs no rate. It brings its target, and everything is held against what it has."""
    assert build.main([layer_file, "--estimate", "--device", "ecp5-25f", *options]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"fits ecp5-25f +│ {said} +│", shown)
    assert re.search(r"target +│ ecp5,", shown) and "of 24,288" in shown and "of 28 (exact)" in shown


def test_a_unit_for_a_device_fits_it(layer_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = [layer_file, "--device", "ecp5-25f", "--simd", "1", "--pe", "1"]
    assert build.main([*unit, "--out", str(tmp_path / "out")]) == 0
    assert re.search(r"fits ecp5-25f +│ yes", capsys.readouterr().out)
    assert "MULT18X18D" in (tmp_path / "out" / "xvolution.v").read_text()


def test_a_unit_that_cannot_fit_is_not_built(refuse: Refuse, layer_file: str) -> None:
    line = refuse(layer_file, "--device", "ecp5-25f", "--simd", "1", "--pe", "2")
    assert line == "error: simd 1, pe 2 do not fit ecp5-25f: 40 DSP of 28; the fastest that fit are simd 1, pe 1\n"


@pytest.mark.parametrize("options", [(), ("--device", "ecp5-25f", "--fps", "1000")], ids=["folding", "fps"])
def test_estimate_writes_nothing(
    layer_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build.main([layer_file, "--estimate", *options]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["layer.npz"]
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("LUT", "FF", "DSP", "BRAM", "first output", "frame"))
    assert ("110 MHz" in shown) == ("asked for 1,000" in shown) == ("fewest DSPs" in shown) == bool(options)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("product", ["hadamard", "dynamic"])
@pytest.mark.parametrize("reload", [None, RELOAD], ids=["frozen", "reloadable"])
def test_no_component_is_made(
    monkeypatch: pytest.MonkeyPatch, target: str, product: str, reload: Reload | None
) -> None:
    """Neither hardware nor signals: areas and latencies are functions of the shapes."""
    layer = small_layer(product=product)
    config = UnitConfig(layer=layer, folding=Folding(simd=2, pe=2), target=TARGETS[target], reload=reload)

    def refuse(self: object, *arguments: object, **options: object) -> None:
        raise AssertionError(f"a {type(self).__name__} is made")

    for made in (wiring.Component, Module, Signal):
        monkeypatch.setattr(made, "__init__", refuse)
    assert estimate(config).lut > 0


def test_chosen_folding_is_built(layer_file: str, tmp_path: Path) -> None:
    assert build.main([layer_file, "--device", "ecp5-25f", "--fps", "1000", "--out", str(tmp_path / "out")]) == 0
    assert "MULT18X18D" in (tmp_path / "out" / "xvolution.v").read_text()


def test_out_of_reach(refuse: Refuse, layer_file: str) -> None:
    line = refuse(layer_file, "--device", "ecp5-25f", "--fps", "1e9", "--mhz", "100")
    assert line.startswith("error: 1,000,000,000 fps are out of reach on ecp5-25f at 100 MHz: at most ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fps", "1000"), "--device"),
        (("--fastest",), "--device"),
        (("--mhz", "100"), "--mhz 100 needs --fps or --fastest"),
        (("--fill", "0.5"), "--fill 0.5 needs --fps or --fastest"),
        (("--device", "ecp5-25f", "--fps", "1", "--fastest"), "--fps and --fastest do not go together"),
        (("--device", "ecp5-25f", "--fastest", "--simd", "2"), "--simd 2"),
        (("--device", "ecp5-25f", "--fastest", "--fill", "1.1"), "'1.1'"),
        (("--device", "ecp5-25f", "--fastest", "--target", "generic"), "target generic"),
        (("--device", "k26", "--target", "xc7"), "target xc7 is not that of k26, which is xcup"),
        (("--device", "k26", "--target", "generic"), "target generic"),
        (("--device", "ecp5-25f", "--fps", "1", "--simd", "2"), "--simd 2"),
        (("--device", "ecp5-25f", "--fps", "1", "--pe", "2"), "--pe 2"),
        (("--device", "ecp5-25f", "--fps", "1", "--target", "xc7"), "target xc7"),
        (("--device", "ecp5-99f", "--fps", "1"), "ecp5-99f"),
        (("--device", "ecp5-25f", "--fps", "0"), "'0'"),
        (("--device", "ecp5-25f", "--fps", "nan"), "'nan'"),
        (("--device", "ecp5-25f", "--fps", "1", "--mhz", "0"), "'0'"),
        (("--target", "ice40"), "'ice40'"),
        (("--pack", "some"), "'some'"),
    ],
)
def test_refused(refuse: Refuse, layer_file: str, options: tuple[str, ...], said: str) -> None:
    assert said in refuse(layer_file, *options)
