"""Register table: sound in any unit, and the same in the C header, in SystemRDL and in the documents."""

from __future__ import annotations

import dataclasses
import html
import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from systemrdl import RDLCompiler

from golden.contract.folding import Folding
from hw.control.header import header
from hw.control.register_page import register_html, register_markdown
from hw.control.register_table import WORD_BYTES, Access, RegisterTable
from hw.control.registers import IDENTITY, offset_bits, register_table
from hw.control.systemrdl import systemrdl
from hw.plan.weight_layout import image_beats
from scripts.registers import PAGE, page
from tests.support.control_bench import reloadable
from tests.support.places import ROOT
from tests.support.units import UNITS, changed

#: What can be done to a register, as SystemRDL says it: readable, writable.
SOFTWARE = {
    Access.CONSTANT: (True, False),
    Access.READ_ONLY: (True, False),
    Access.READ_WRITE: (True, True),
    Access.WRITE_ONLY: (False, True),
    Access.CLEAR: (True, True),
}
#: Many channels: windows at their largest, with rows and lanes just above a power of two.
LARGE: dict[str, dict[str, Any]] = {
    f"large_{pe}": {"in_channels": 1, "out_channels": out, "simd": 1, "pe": pe, "kernel": 1, "attn_offsets": ()}
    for out, pe in [(4096, 1), (4096, 64), (4095, 3), (4095, 5), (4085, 5), (3999, 129), (4096, 4096)]
}
TABLES = UNITS | LARGE


def table_of(unit: str) -> RegisterTable:
    return register_table(reloadable(**TABLES[unit]))


@pytest.mark.parametrize("unit", TABLES)
def test_nothing_overlaps(unit: str) -> None:
    table = table_of(unit)
    spans = [(r.address, r.address + WORD_BYTES, r.name) for r in table.registers]
    spans += [(window.address, window.end, window.name) for window in table.windows]
    assert all(address % WORD_BYTES == 0 for address, _end, _name in spans)
    for (_start, end, name), (start, _end, after) in itertools.pairwise(sorted(spans)):
        assert end <= start, f"{name} and {after}"
    assert max(end for _start, end, _name in spans) <= 1 << table.address_bits
    assert len({name for _start, _end, name in spans}) == len(spans)

    for register in table.registers:
        assert sum(bin(field.mask).count("1") for field in register.fields) == bin(register.mask).count("1")
        assert 0 < register.mask < 2**32
        assert len({field.name for field in register.fields}) == len(register.fields)
        for field in register.fields:
            assert 0 <= field.reset < 2**field.bits, f"{register.name}.{field.name}"
            if field.allowed:
                assert 0 <= field.allowed.low <= field.reset <= field.allowed.high < 2**field.bits
    for window in table.windows:
        addresses = [window.word_address(index) for index in range(window.rows * window.lanes)]
        assert len(set(addresses)) == len(addresses) and max(addresses) < window.end


@pytest.mark.parametrize("unit", ["same", "valid", "depthwise_stride_2", "dynamic_heads_in_a_beat", "lopsided"])
def test_constants_say_what_the_unit_is(unit: str) -> None:
    shapes = reloadable(**TABLES[unit])
    c, constants = shapes.layer.config, register_table(shapes).constants
    fingerprint = constants.pop("fingerprint")
    assert 0 <= fingerprint < 2**32
    assert bytes.fromhex(f"{IDENTITY:x}") == b"XVOL"
    assert constants == {
        "identity": IDENTITY,
        "major": 1,
        "minor": 0,
        **{n: getattr(c, n) for n in ("in_channels", "out_channels", "kernel", "stride", "in_bits", "weight_bits")},
        **{n: getattr(c, n) for n in ("out_bits", "in_signed", "out_signed")},
        **{n: getattr(c, n) or 0 for n in ("heads", "sim_bits", "sim_shift")},
        "valid": c.padding == "valid",
        "depthwise": c.groups > 1,
        "dynamic": c.product == "dynamic",
        "single_buffered": False,
        "simd": shapes.folding.simd,
        "pe": shapes.folding.pe,
        "max_height": c.height,
        "max_width": c.width,
        "attn_shift_min": 1,
        "attn_shift_max": 6,
        "out_shift_min": c.out_shift - 4,
        "out_shift_max": min(c.out_shift + 4, 47),
        "attn_offsets_0": offset_bits(c.attn_offsets) & 0xFFFFFFFF,
        "attn_offsets_1": offset_bits(c.attn_offsets) >> 32,
        "weight_beats": image_beats(shapes),
        "weight_depth": shapes.weight_depth,
        "weight_memories": shapes.lanes,
        "constant_depth": c.out_channels // shapes.folding.pe,
    }


def test_limits_of_the_settings() -> None:
    for fields, least in (({}, 1), ({"padding": "valid", "kernel": 5, "height": 9, "width": 7}, 5)):
        shapes = reloadable(**fields)
        table = register_table(shapes)
        for name in ("height", "width"):
            allowed = table[name].field(name).allowed
            assert (allowed.low, allowed.high) == (least, getattr(shapes.layer.config, name))


def test_offsets_are_a_set_of_bits() -> None:
    places = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    assert [offset_bits([place]) for place in places] == [1 << index for index in range(49)]
    assert offset_bits([(0, 1), (-3, -3)]) == offset_bits([(-3, -3), (0, 1)]) == 1 << 25 | 1


def test_fingerprint() -> None:
    """The same whatever the weights and settings are, another one for each thing that shapes the weight image."""
    shapes = reloadable()

    def fingerprint(**changes: Any) -> int:
        return register_table(changed(shapes, **changes)).constants["fingerprint"]

    c, layer = shapes.layer.config, shapes.layer

    def of_layer(**changes: Any) -> int:
        return fingerprint(layer=dataclasses.replace(layer, config=dataclasses.replace(c, **changes)))

    alike = [
        fingerprint(layer=dataclasses.replace(layer, conv_weight=-layer.conv_weight)),
        of_layer(relu=not c.relu),
        of_layer(attn_shift=c.attn_shift + 1),
        of_layer(in_scale=0.5),
    ]
    assert set(alike) == {fingerprint()}
    different = [
        fingerprint(folding=Folding(simd=4, pe=2)),
        fingerprint(target=reloadable(target="xcup").target),
        fingerprint(pack=False),
        fingerprint(reload=dataclasses.replace(shapes.config.limits, single_buffered=True)),
        of_layer(attn_offsets=c.attn_offsets[::-1]),
        of_layer(height=c.height + 1),
        of_layer(rounding="floor"),
        of_layer(weight_bits=8 if c.weight_bits < 8 else 7) if abs(layer.conv_weight).max() < 64 else 0,
    ]
    assert len({fingerprint(), *different}) == 1 + len(different)


@pytest.mark.parametrize(("compiler", "options"), [("cc", ["-std=c99", "-Wconversion"]), ("g++", ["-x", "c++"])])
@pytest.mark.parametrize("unit", ["same", "large_3"])
def test_header(unit: str, compiler: str, options: list[str], tmp_path: Path) -> None:
    """Compiles without a warning, and every macro and helper gives what the table says."""
    table = table_of(unit)
    expected: dict[str, int] = {}
    for register in table.registers:
        name = f"XVOLUTION_{register.name.upper()}"
        expected[f"{name}_OFFSET"] = register.address
        for field in register.fields:
            own = name if field.name == register.name else f"{name}_{field.name.upper()}"
            expected |= {f"{own}_SHIFT": field.low, f"{own}_MASK": field.mask}
            expected[f"XVOLUTION_GET(0x89abcdefu, {own})"] = 0x89ABCDEF >> field.low & (1 << field.bits) - 1
            expected[f"XVOLUTION_PUT(0xffffffffu, {own})"] = field.mask
            if register.access is Access.CONSTANT:
                expected[f"{own}_VALUE"] = field.reset
            if register.access is Access.READ_WRITE:
                expected[f"{own}_RESET"] = field.reset
            if field.allowed:
                expected |= {f"{own}_MIN": field.allowed.low, f"{own}_MAX": field.allowed.high}
    for window in table.windows:
        name = f"XVOLUTION_{window.name.upper()}"
        expected |= {f"{name}_OFFSET": window.address, f"{name}_ROWS": window.rows}
        expected |= {f"{name}_LANES": window.lanes, f"{name}_STRIDE": window.stride}
        for channel in {0, 1, window.lanes, window.rows * window.lanes - 1}:
            expected[f"xvolution_{window.name}_offset({channel})"] = window.word_address(channel)

    text = header(table)
    macros = set(re.findall(r"^#define (\w+) +\S", text, flags=re.MULTILINE))
    assert macros == {name for name in expected if "(" not in name}
    (tmp_path / "xvolution.h").write_text(text)
    lines = "".join(f'    printf("%lu\\n", (unsigned long)({name}));\n' for name in expected)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "xvolution.h"\n#include "xvolution.h"\n'
        f"int main(void)\n{{\n    static uint32_t words[32];\n{lines}"
        "    xvolution_write((uintptr_t)words, XVOLUTION_HEIGHT_OFFSET, 7);\n"
        '    printf("%u %u\\n", (unsigned)words[XVOLUTION_HEIGHT_OFFSET / 4],'
        " (unsigned)xvolution_read((uintptr_t)words, XVOLUTION_HEIGHT_OFFSET));\n    return 0;\n}\n"
    )
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([compiler, *options, *strict, "-o", "program", "main.c"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True).stdout.split("\n")
    assert dict(zip(expected, map(int, printed), strict=False)) == expected
    assert printed[len(expected)] == "7 7"


@pytest.mark.parametrize("unit", ["same", "valid", "large_3", "large_1"])
def test_systemrdl(unit: str, tmp_path: Path) -> None:
    """Another tool reads the same registers, fields, accesses and values."""
    table = table_of(unit)
    (tmp_path / "xvolution.rdl").write_text(systemrdl(table))
    compiler = RDLCompiler()
    compiler.compile_file(str(tmp_path / "xvolution.rdl"))
    top = compiler.elaborate().top
    assert top.inst_name == "xvolution"
    nodes = {node.inst_name: node for node in top.children()}
    assert list(nodes) == [entry.name for entry in (*table.registers, *table.windows)]
    for register in table.registers:
        node = nodes[register.name]
        assert node.absolute_address == register.address
        assert (node.has_sw_readable, node.has_sw_writable) == SOFTWARE[register.access]
        found = {field.inst_name: field for field in node.fields()}
        assert list(found) == [field.name for field in register.fields]
        for field in register.fields:
            assert (found[field.name].low, found[field.name].high) == (field.low, field.high)
            if register.access is not Access.READ_ONLY:
                assert found[field.name].get_property("reset") == field.reset
            clears = found[field.name].get_property("onwrite")
            assert (clears is not None and clears.name == "woclr") == (register.access is Access.CLEAR)
    rng = np.random.default_rng(0)
    for window in table.windows:
        for index in {0, window.rows * window.lanes - 1, int(rng.integers(window.rows * window.lanes))}:
            row, lane = divmod(index, window.lanes)
            node = top.get_child_by_name(window.name).get_child_by_name("lane")
            assert node is not None
            at = top.find_by_path(f"{window.name}[{row}].lane[{lane}]")
            assert at is not None and at.absolute_address == window.word_address(index)


@pytest.mark.parametrize("unit", ["same", "gaps"])
def test_pages_show_every_register(unit: str) -> None:
    table = register_table(reloadable(**(TABLES | {"gaps": {"out_channels": 15, "pe": 3}})[unit]))
    markdown, page_text = register_markdown(table), register_html(table)
    shown = html.unescape(re.sub(r"<[^>]+>", "", page_text))
    for register in table.registers:
        assert f"## `{register.name}` at `{register.address:#04x}`" in markdown
        assert f"{register.name} at {register.address:#04x}" in shown
        for field in register.fields:
            assert f"`{field.name}`" in markdown and field.description in shown
    for window in table.windows:
        assert f"row * {window.stride} + lane * 4" in markdown and f"row * {window.stride} + lane * 4" in shown
    assert "| 2:0 | `height` | 5 | 1 to 5 |" in markdown


def test_the_document_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text() == page(), "python -m scripts.registers writes it again"
