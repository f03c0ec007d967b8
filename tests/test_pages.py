"""Pages: what they show runs, and what they link to is there."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest

from golden.contract.layer_config import DYNAMIC_RANGES, FIELD_CHOICES, FIELD_RANGES, LayerConfig
from hw.export.verilog import Core
from hw.plan.config_file import read_manifest_config
from sim.simulator.program import Bench, Program
from sim.tests.support import check_verdicts, installed
from tests.support.pages import Block, Reader, blocks, pages, printed_lines
from tests.support.places import ROOT
from tests.support.tiers import nightly, thorough

#: Languages of blocks that run, and of all.
RUN = ("python", "console")
LANGUAGES = (*RUN, "verilog", "c")
#: Pages that are written by commands, from what these found.
WRITTEN = ("evidence.md", "registers.md")
#: Lines of the README at most.
README_LINES = 130


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runs(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in RUN]


def built(manifest: Path) -> Core:
    """The reloadable unit of a manifest and the Verilog beside it."""
    return Core(
        config=read_manifest_config(manifest),
        verilog=manifest.with_suffix(".v").read_text(),
        manifest=json.loads(manifest.read_text()),
    )


every_page = pytest.mark.parametrize("page", pages(), ids=relative)


@thorough
@pytest.mark.parametrize("page", [page for page in pages() if runs(page)], ids=relative)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python and commands, in the order of the page, in an empty folder but for ``docs``.

    Each line of a block without a language was printed by the block before it.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    reader = Reader(page, tmp_path)
    for block in blocks(page):
        if block.language in RUN:
            reader.follow(block)
        elif not block.language and reader.said:
            missing = printed_lines(block.text) - printed_lines(reader.said[-1])
            assert not missing, f"{relative(page)}, line {block.line}: not printed: {missing}"


@thorough
def test_driver_of_the_page(tmp_path: Path) -> None:
    """The unit is that of the command of docs/reloadable.md, the board a simulated one."""
    page = ROOT / "docs" / "reloadable.md"
    Reader(page, tmp_path).follow(next(block for block in runs(page) if block.language == "console"))
    core = built(tmp_path / "rtl" / "loaded.json")
    program = Program.build(installed("verilator"), Bench(modules=["tests.support.page_bench"]), core)
    check_verdicts(program.run(tmp_path), 1, f"docs/reloadable.md, log in {tmp_path}")


#: How the C program of docs/reloadable.md is compiled.
COMPILERS = {"c": ["cc", "-std=c99"], "cc": ["g++", "-std=c++11"]}


@thorough
@pytest.mark.parametrize(
    "options",
    [pytest.param("", id="double_buffered"), pytest.param(" --single-buffered", id="single_buffered", marks=nightly)],
)
def test_c_program_of_the_page(options: str, tmp_path: Path) -> None:
    """The unit and the words are those of the commands of docs/reloadable.md, the board a simulated one.

    Compiled as C and as C++, the program loads the layer. With words for another unit it writes nothing.
    """
    page = ROOT / "docs" / "reloadable.md"
    reader = Reader(page, tmp_path)
    for block in runs(page):
        if block.language == "console":
            reader.follow(
                dataclasses.replace(block, text=block.text.replace(" --reloadable", f" --reloadable{options}"))
            )
    folder = tmp_path / "rtl"
    (text,) = (block.text for block in blocks(page) if block.language == "c")
    words = (folder / "tiny_weights.h").read_text()
    for suffix, compiler in COMPILERS.items():
        for name, other in (("loads", words), ("refuses", re.sub(r"0x\w+u(?=, /\* fingerprint)", "0x1u", words))):
            place = tmp_path / f"{name}_{suffix}"
            place.mkdir()
            (place / "load.h").write_text(text)
            (place / "tiny_weights.h").write_text(other)
            (place / f"board.{suffix}").write_text((ROOT / "tests" / "support" / "c_board.c").read_text())
            strict = ["-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{place}", f"-I{folder}"]
            subprocess.run([*compiler, *strict, "-o", place / "program", place / f"board.{suffix}"], check=True)
    program = Program.build(
        installed("verilator"), Bench(modules=["tests.support.c_bench"]), built(folder / "loaded.json")
    )
    verdicts = program.run(tmp_path, environment={"XVOLUTION_PROGRAMS": str(tmp_path)})
    check_verdicts(verdicts, len(COMPILERS), f"docs/reloadable.md, log in {tmp_path}")


@every_page
def test_blocks_have_a_language_that_is_known(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {"", *LANGUAGES}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{relative(page)}: {target}"


@every_page
def test_files_that_are_named_are_there(page: Path) -> None:
    """Names of modules and files of the project, between backticks."""
    for name in re.findall(r"`((?:golden|hw|sim|tests|scripts|docs)/[\w/.]+\.\w+)`", page.read_text()):
        assert (ROOT / name).exists(), f"{relative(page)}: {name}"


def test_every_page_is_found_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    missing = [relative(page) for page in pages() if f"({relative(page)})" not in text and page.name != "README.md"]
    assert missing == []
    assert "(docs/studies/README.md)" in text


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_fields_of_a_layer() -> None:
    """The table says of each field what is allowed."""
    table = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", (ROOT / "docs" / "layers.md").read_text(), re.MULTILINE))
    assert set(table) == {field.name for field in dataclasses.fields(LayerConfig)}
    for name, (low, high) in {**FIELD_RANGES, **DYNAMIC_RANGES}.items():
        assert table[name] == f"{low} to {high}" or name == "heads"
    for name, choices in FIELD_CHOICES.items():
        assert table[name] == ", ".join(f"`{choice}`" for choice in choices)


def test_make_targets_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in pages():
        named = re.findall(r"(?:`|\$ )make ([a-z]+)", page.read_text())
        assert set(named) <= targets, f"{relative(page)}: {set(named) - targets}"
