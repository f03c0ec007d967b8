"""Weight image: read by the rules of docs/reloadable.md alone, from the manifest's entries, it is the layer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from golden.contract.layer import Layer
from hw.control.loadable import layer_image
from hw.export.verilog import generate
from hw.plan.weight_layout import image_layout
from tests.support.front_end import reloadable
from tests.support.tiers import in_turn, thorough
from tests.support.units import SIGNS, UNITS, at_limits, unit_shapes


def weights_of(image: list[int], entry: dict[str, Any], config: dict[str, Any]) -> dict[tuple[Any, ...], int]:
    """Weights by ``(branch, output channel, input channel, offset)``, as docs/reloadable.md says to read them.

    Args:
        image: words of an image.
        entry: ``weight_image`` of the manifest.
        config: ``layer`` of the manifest.
    """
    bits, elements = entry["element_bits"], entry["channel_elements"]
    beats = iter(image)
    found: dict[tuple[Any, ...], int] = {}
    for lane in range(entry["lanes"]):
        lane_words: list[dict[int, int]] = [{} for _ in range(entry["words"])]
        for bank in entry["banks"]:
            for lane_word in lane_words:
                word = sum(next(beats) << 32 * n for n in range(-(-len(bank) * bits // 32)))
                assert word >> len(bank) * bits == 0, "padding"
                for n, element in enumerate(bank):
                    field = word >> n * bits & 2**bits - 1
                    lane_word[element] = field - 2**bits if field >> bits - 1 else field
        for number, lane_word in enumerate(lane_words):
            assert sorted(lane_word) == list(range(entry["lane_channels"] * len(elements)))
            for high, low in entry["borrows"]:
                lane_word[high] += lane_word[low] < 0
            for element, value in lane_word.items():
                place = elements[element % len(elements)]
                channel = element // len(elements)
                if config["groups"] == 1:
                    outputs, inputs = divmod(number, config["in_channels"] // entry["lane_channels"])
                    o = (outputs * entry["lanes"] + lane) * entry["lane_outputs"] + place["output"]
                    c = inputs * entry["lane_channels"] + channel
                else:
                    o = c = number * entry["lanes"] + lane
                key = (place["branch"], o, c, tuple(place["offset"]))
                assert key not in found
                found[key] = value
    assert next(beats, None) is None, "words that are left over"
    return found


def expected(layer: Layer, entry: dict[str, Any]) -> dict[tuple[Any, ...], int]:
    """The layer's weights at the offsets that the entry names."""
    c = layer.config
    reach = range(-(c.kernel // 2), c.kernel // 2 + 1)
    kernel = [(dy, dx) for dy in reach for dx in reach]
    conv = layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1)
    named = {(place["branch"], tuple(place["offset"])) for place in entry["channel_elements"]}
    found = {}
    for branch, offsets, weights in (("conv", kernel, conv), ("attn", c.attn_offsets, layer.attn_weight)):
        for (o, channel, tap), value in np.ndenumerate(weights):
            if (branch, offsets[tap]) in named:
                found[branch, o, o if c.groups > 1 else channel, offsets[tap]] = int(value)
    return found


CASES = [
    pytest.param(name, target, pack, id=f"{name}-{target}{'' if pack else '-unpacked'}")
    for name in UNITS
    for target, pack in (("generic", True), ("ecp5", True), ("xcup", True), ("xcup", False))
]


def shuffled(layer: Layer) -> Layer:
    """The layer with its attention taps in another order."""
    order = list(reversed(range(len(layer.config.attn_offsets))))
    offsets = tuple(layer.config.attn_offsets[t] for t in order)
    config = dataclasses.replace(layer.config, attn_offsets=offsets)
    return dataclasses.replace(layer, config=config, attn_weight=layer.attn_weight[..., order])


@in_turn
@pytest.mark.parametrize(("name", "target", "pack"), CASES)
def test_an_image_read_by_the_rules_of_the_page(name: str, target: str, pack: bool) -> None:
    """Of layers other than the one that the unit was built from: fewer bits, other orders, weights at their limits."""
    shapes = reloadable(unit_shapes(target=target, pack=pack, **UNITS[name]))
    entry, c = image_layout(shapes), shapes.layer.config
    config = {"groups": c.groups, "in_channels": c.in_channels}
    others = [unit_shapes(1, target=target, pack=pack, weight_bits=bits, **UNITS[name]).layer for bits in (8, 5)]
    others += [shuffled(others[0]), *(at_limits(shapes, signs).layer for signs in SIGNS)]
    for layer in others:
        image = layer_image(shapes, layer).tolist()
        assert len(image) == entry["beats"]
        assert weights_of(image, entry, config) == expected(layer, entry)


def test_packed_units_are_among_the_cases() -> None:
    """Weights that share a multiplier, two outputs of a lane, and several banks of a lane do occur."""
    entries = [image_layout(reloadable(unit_shapes(target=c.values[1], **UNITS[c.values[0]]))) for c in CASES]
    assert any(entry["borrows"] for entry in entries)
    assert {entry["lane_outputs"] for entry in entries} == {1, 2}
    assert max(len(entry["banks"]) for entry in entries) > 2


@thorough
def test_the_manifest_has_the_entry() -> None:
    shapes = reloadable(unit_shapes())
    assert generate(shapes.config).manifest["weight_image"] == image_layout(shapes)
    assert "weight_image" not in generate(unit_shapes().config).manifest
