"""What a conversion did: a row for each step, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.table import Table

from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import FRAME, AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from golden.convert.convert import Conversion
from golden.show import picture, result_cells
from golden.support.cli import UserError
from golden.support.drawing import INSTALL
from golden.support.numbers import number
from golden.support.tables import table_of

HEADINGS = ("step", "came in as", "became", "result", "format", "proven", "steps off", "of largest", "elements off")


def rows(conversion: Conversion) -> Iterator[tuple[str, ...]]:
    """A row of cells for the image, then for each step. What the source does not have is not compared."""
    network = conversion.network
    steps: Mapping[str, Step | None] = {IMAGE: None, **{step.name: step for step in network.steps}}
    for name, step in steps.items():
        gap = conversion.differences.get(name)
        off = ("", "", "") if gap is None else (f"{gap.steps:.2f}", percent(gap.part), percent(gap.unequal))
        came = " + ".join(conversion.origins.get(name, ()))
        became = "" if step is None else BECAME[type(step)](step) + limit(conversion, name) + clips(conversion, name)
        shape, form = result_cells(network.results[name])
        yield name, came, became, shape, form + zero(conversion, name), proven(conversion, name), *off


def table(title: str, conversion: Conversion) -> Table:
    """The rows on a terminal."""
    shown = table_of(*HEADINGS, title=title, words=5)
    for cells in rows(conversion):
        shown.add_row(*cells)
    return shown


def verdict(conversion: Conversion) -> str:
    """One sentence: how many images have another answer."""
    if not conversion.images:
        return "not compared, as there are no calibration images"
    if conversion.changed is None:
        return f"compared on {conversion.images:,} images"
    return f"the answer changes on {percent(conversion.changed)} of {conversion.images:,} images"


def page(title: str, conversion: Conversion) -> str:
    """The report as a page that needs nothing but itself. Raises `UserError` where a package for it is missing."""
    try:
        from golden.support.page import page_template
    except ModuleNotFoundError as error:
        raise UserError(f"the report needs {error.name}, which is not installed: {INSTALL} brings it") from None
    return page_template("golden.convert").render(
        title=title,
        headings=HEADINGS,
        rows=list(rows(conversion)),
        verdict=verdict(conversion),
        picture=picture(conversion.network),
    )


def proven(conversion: Conversion, name: str) -> str:
    """What is known of a quantised source's step for every input."""
    bound = conversion.bounds.get(name)
    return "" if bound is None else "exact" if bound == 0 else f"off by {bound:.2g} before it rounds"


def zero(conversion: Conversion, name: str) -> str:
    """What stands for 0 in a result, if another integer does."""
    held = conversion.held.get(name)
    if held is None or held.plain:
        return ""
    return f", 0 is {held.zero}{'' if held.scale > 0 else ', negated'}"


def limit(conversion: Conversion, name: str) -> str:
    """Where the format of a result ends, if a ReLU of the source limits it, too."""
    result = conversion.network.results[name]
    if name not in conversion.ceilings or result.scale is None:
        return ""
    return f" up to {result.limits.high * result.scale:.4g}, in the source {conversion.ceilings[name]:g}"


def clips(conversion: Conversion, name: str) -> str:
    """How many weights of a step are not those of the source."""
    count = conversion.clipped.get(name)
    return "" if count is None else f", -128 became -127 in {number(count)} of its weights"


def percent(part: float) -> str:
    """``part`` of 1 in percent."""
    return f"{number(round(100 * part, 3))} %"


def _layer(step: LayerStep) -> str:
    c = step.layer.config
    words = [
        f"{c.kernel}x{c.kernel}",
        *([f"stride {c.stride}"] if c.stride > 1 else []),
        *([] if c.padding == "same" else [c.padding]),
        *(["depthwise"] if c.depthwise else []),
        *([f"{c.product} attention at {len(c.attn_offsets)} offsets"] if c.attn_offsets else []),
        f"weights {c.weight_bits} bit",
        *(["ReLU"] if c.relu else []),
    ]
    return f"layer, {', '.join(words)}"


def _linear(step: Linear) -> str:
    what = "of every pixel" if step.weight.ndim == 4 else "of each channel's sum"
    end = "raw" if step.raw else "ReLU" if step.relu else "requantised"
    return f"linear {what}, weights {step.weight_bits} bit, {end}"


def _add(step: Add) -> str:
    return "add, ReLU" if step.relu else "add"


def _max_pool(step: MaxPool) -> str:
    return f"max_pool, {step.kernel}x{step.kernel}, stride {step.stride}, pad {step.pad}"


def _avg_pool(step: AvgPool) -> str:
    if step.kernel == FRAME:
        return "avg_pool of the frame"
    return f"avg_pool, {step.kernel}x{step.kernel}, stride {step.stride}"


def _concat(step: Concat) -> str:
    return "concat"


def _upsample(step: Upsample) -> str:
    return f"upsample, {step.factor} times"


def _argmax(step: Argmax) -> str:
    return "argmax"


#: Each op of network files in words.
BECAME: Mapping[type[Step], Callable[[Any], str]] = {
    LayerStep: _layer,
    Linear: _linear,
    Add: _add,
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    Concat: _concat,
    Upsample: _upsample,
    Argmax: _argmax,
}
