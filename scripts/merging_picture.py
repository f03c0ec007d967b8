"""The picture of what merging saves: costs of other forms as parts of the merged layer's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import color_sequences
from matplotlib.figure import Figure

from golden.support.page import svg_element
from scripts.merging_forms import APART, MERGED

#: Keys of costs, and what they are called.
COSTS = {"dsp": "DSP", "lut": "LUT", "ff": "FF", "passing": "passing bits", "latency": "latency"}
WIDTH, HEIGHT, SMALL = 10.8, 3.4, 8
#: Part of the room of a layer that its bars fill.
FILLED = 0.8


def picture(forms: Sequence[Mapping[str, Any]]) -> str:
    """An SVG with a panel for each target. Its bars are the costs of branches side by side, 1 is the merged layer."""
    targets = list(dict.fromkeys(row["on"] for row in forms))
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    for axes, target in zip(figure.subplots(1, len(targets), sharey=True, squeeze=False)[0], targets, strict=True):
        rows = {(row["layer"], row["form"]): row for row in forms if row["on"] == target}
        layers = [layer for layer, form in rows if form == APART]
        places = np.arange(len(layers))
        width = FILLED / len(COSTS)
        for n, (key, name) in enumerate(COSTS.items()):
            ratios = [rows[layer, APART][key] / rows[layer, MERGED][key] for layer in layers]
            shift = width * (n - (len(COSTS) - 1) / 2)
            axes.bar(places + shift, ratios, width, color=color_sequences["tab10"][n], label=name)
        axes.axhline(1, color="#555", linewidth=1)
        axes.set_title(target, fontsize=SMALL + 1)
        axes.set_xticks(places, layers)
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("side by side / merged", fontsize=SMALL)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(COSTS), frameon=False, fontsize=SMALL)
    return svg_element(figure)
