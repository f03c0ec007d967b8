"""Write the register table of the default layer's unit, reloadable in every way.

Examples:
    python -m scripts.registers
    python -m scripts.registers --out registers.md
"""

from __future__ import annotations

from golden.contract.folding import Folding
from golden.contract.layer_config import FIELD_RANGES
from golden.contract.ranges import Range
from golden.layers import DEFAULT_LAYER, layer_path, load_layer
from golden.support import cli
from golden.support.terminal import say
from hw.control.register_page import register_markdown
from hw.control.registers import register_table
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from scripts.checkout import in_checkout

PAGE = "docs/registers.md"


def page() -> str:
    """The page with the register table, in Markdown."""
    layer = load_layer(DEFAULT_LAYER)
    attn_shift, out_shift = (Range(*FIELD_RANGES[name]) for name in ("attn_shift", "out_shift"))
    reload = Reload(attn_shift=attn_shift, out_shift=out_shift)
    config = UnitConfig(layer=layer, folding=Folding.choose(layer.config), reload=reload)
    return register_markdown(register_table(Shapes(config)))


def main(argv: list[str]) -> int:
    parser = cli.Parser(prog="python -m scripts.registers", description=__doc__)
    parser.add_argument("--out", type=cli.file_path, metavar="FILE", help=f"(default: {PAGE})")
    out = parser.parse_args(argv).out or in_checkout(PAGE, "--out FILE")
    cli.check_outputs([out], inputs=[layer_path(DEFAULT_LAYER)])
    with cli.replacing(out) as stream:
        stream.write(page())
    say(f"wrote {out}")
    return 0


if __name__ == "__main__":
    cli.run(main)
