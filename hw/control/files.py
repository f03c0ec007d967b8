"""The files that a reloadable unit's registers become."""

from __future__ import annotations

from hw.control.header import header
from hw.control.register_page import register_html, register_markdown
from hw.control.registers import register_table
from hw.control.systemrdl import systemrdl
from hw.plan.sizes import Sizes


def register_files(sizes: Sizes) -> dict[str, str]:
    """C header, SystemRDL and documents by file name. A frozen unit has none."""
    if sizes.config.reload is None:
        return {}
    table, name = register_table(sizes), sizes.config.name
    return {
        f"{name}.h": header(table),
        f"{name}.rdl": systemrdl(table),
        f"{name}_registers.md": register_markdown(table),
        f"{name}_registers.html": register_html(table),
    }
