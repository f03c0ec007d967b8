"""What came of a network on its images: rows and sentences, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from golden.support.numbers import number
from golden.support.wrapping import wrapped
from scripts.marked_page import page_table

#: What the forms of a network are called, in the order of the rows.
FORMS = {"float": "in floats", "integer": "integer model", "verilog": "Verilog in {}"}
#: Columns of a page.
WIDTH = 105


def wrong(figures: Mapping[str, Any]) -> bool:
    """Whether the Verilog differs from the integer model, or from the predicted cycles."""
    return bool(figures["complaints"]) or figures["equal"] != figures["images"]


def rows(figures: Mapping[str, Any], simulator: str) -> list[tuple[str, str, str]]:
    """For each form of the network: what it is, how many images it answers rightly, and their share."""
    right, images = figures["right"], figures["images"]
    return [
        (text.format(simulator), number(right[form]), f"{right[form] / images:.2%}")
        for form, text in FORMS.items()
        if right[form] is not None
    ]


def sentences(figures: Mapping[str, Any]) -> list[str]:
    """What else there is to say."""
    images, scores = number(figures["images"]), number(figures["scores"])
    found = []
    if figures["alike"] is not None:
        found.append(f"Floats and integers answer {number(figures['alike'])} of {images} images alike.")
    cycles, seconds = number(figures["cycles"]), number(round(figures["simulator_seconds"]))
    found.append(
        f"A frame takes {number(figures['frame_cycles'])} cycles: {cycles} cycles in all, simulated in {seconds} s."
    )
    if not wrong(figures):
        return [*found, f"All {scores} numbers of the Verilog are those of the integer model, in every image."]
    differ = number(figures["images"] - figures["equal"])
    wrongs = (f"Wrong: {complaint}." for complaint in figures["complaints"])
    return [*found, f"{differ} of {images} images differ from the integer model.", *wrongs]


def markdown(name: str, figures: Mapping[str, Any], simulator: str) -> str:
    """All of it as a page has it."""
    headings = (f"`{name}`, {number(figures['images'])} images", "right", "accuracy")
    table = page_table(headings, rows(figures, simulator))
    return "\n".join([table, "", *wrapped(" ".join(sentences(figures)), WIDTH)]) + "\n"


def marks(name: str) -> tuple[str, str]:
    """The lines around the place of a network's figures in a page."""
    return f"<!-- accuracy of {name}: python -m scripts.accuracy --page -->\n", f"<!-- end of {name} -->\n"
