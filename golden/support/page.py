"""Pages in one file each: their templates, and pictures as SVG elements inside them."""

from __future__ import annotations

import io

import jinja2
import matplotlib
from matplotlib.figure import Figure


def page_template(package: str, name: str = "page.html") -> jinja2.Template:
    """The HTML template ``name`` of ``package``. To render it without a value that it names is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)


def svg_element(figure: Figure) -> str:
    """``figure`` as an SVG element, the same text every time."""
    text = io.StringIO()
    # Text stays text. The names of inner elements do not change from run to run.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xvolution"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
