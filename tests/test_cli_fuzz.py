"""Every command with anything as arguments and in files: a clean result, or one line and nothing left behind.

What must hold is in `workplace.Workplace.check`, the commands are in `commands`, the input in `foul`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden.layers.digits_layer import NETWORK_ARRAYS
from tests.support.commands import COMMANDS, Command, furnish
from tests.support.foul import ODD_TEXTS, archive, layer_files, network_files, npy, npy_files, texts
from tests.support.places import ROOT
from tests.support.tiers import thorough
from tests.support.workplace import Outcome, assert_refusal, workplace

#: Number of random cases of each test, as `make nightly` asks for; None elsewhere.
EXAMPLES = os.environ.get("XVOLUTION_EXAMPLES")
#: The same few cases every time: what fails here fails everywhere. Each night tries new ones.
quick = settings(
    max_examples=int(EXAMPLES or 5),
    deadline=None,
    derandomize=EXAMPLES is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TIMEOUT = 120
#: So many values of an option are tried all.
FEW_VALUES = 8

every_command = pytest.mark.parametrize("name", COMMANDS)


@st.composite
def arguments(draw: st.DrawFn, command: Command) -> list[str]:
    """Arguments that work, some of them, and more of any kind."""
    argv = list(command.works)
    if argv and draw(st.integers(0, 9)) == 0:
        argv.pop(draw(st.integers(0, len(argv) - 1)))
    if command.positional and argv and draw(st.booleans()):
        argv[0] = draw(st.sampled_from(command.positional) | texts())
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.integers(0, 19))
        if kind == 0:
            argv.append(draw(texts()))
        elif kind == 1:
            argv.append(draw(st.sampled_from(["--help", "--nosuch", "--o", "-x", "--", *command.values])))
        elif command.values:
            option = draw(st.sampled_from(sorted(command.values)))
            usual = command.values[option]
            if usual is None:
                argv.append(option)
                continue
            value = draw(st.sampled_from(usual) | texts())
            argv += [option, value] if draw(st.booleans()) else [f"{option}={value}"]
    return argv


@every_command
def test_arguments_that_work(name: str) -> None:
    """Or no other argument would mean anything."""
    with workplace() as place:
        furnish(place)
        outcome = COMMANDS[name].check(place, COMMANDS[name].works)
        assert outcome.status == 0 and outcome.out


@thorough
@every_command
def test_each_odd_value(name: str) -> None:
    """One option after the other, with all else as it works.

    By day, each option meets one of the odd texts. Of many values that are often right it meets a sixth, other
    ones with each command.
    """
    command, index = COMMANDS[name], list(COMMANDS).index(name)
    runs = [[*command.works, option] for option in command.values]
    step, many = (1, 1) if EXAMPLES else (len(ODD_TEXTS), 6)
    for number, (option, usual) in enumerate(command.values.items()):
        odd = ODD_TEXTS[(number + index) % step :: step]
        values = usual or ()
        if len(values) > FEW_VALUES:
            values = values[(number + index) % many :: many]
        runs += [[*command.works, f"{option}={value}"] for value in (*values, *odd)]
    places = (*command.positional, *ODD_TEXTS[index % step :: step])
    runs += [[value, *command.works[1:]] for value in places if command.positional]
    for argv in runs:
        with workplace() as place:
            furnish(place)
            try:
                command.check(place, argv)
            except Exception as error:
                error.add_note(f"with arguments {argv}")
                raise


@thorough
@every_command
def test_any_arguments(name: str) -> None:
    command = COMMANDS[name]

    @quick
    @given(argv=arguments(command))
    def clean(argv: list[str]) -> None:
        with workplace() as place:
            furnish(place)
            command.check(place, argv)

    clean()


@thorough
@pytest.mark.parametrize("name", ["golden.run", "golden.vectors", "hw.build", "hw.synth", "sim.run"])
def test_any_layer_file(name: str) -> None:
    command = COMMANDS[name]

    @quick
    @given(content=layer_files(), estimate=st.booleans())
    def clean(content: bytes, estimate: bool) -> None:
        with workplace() as place:
            furnish(place)
            (place.here / "layer.npz").write_bytes(content)
            command.check(place, [*command.works, *(["--estimate"] if estimate and name == "hw.build" else [])])

    clean()


@thorough
@pytest.mark.parametrize("name", ["golden.run", "golden.show", "golden.vectors", "hw.build", "hw.synth", "sim.run"])
def test_any_network_file(name: str) -> None:
    command = COMMANDS[name]

    @quick
    @given(content=network_files())
    def clean(content: bytes) -> None:
        with workplace() as place:
            furnish(place)
            (place.here / "network.npz").write_bytes(content)
            command.check(place, ["network.npz", *command.works[1:]])

    clean()


@thorough
@pytest.mark.parametrize("name", ["golden.run", "golden.vectors", "sim.run"])
def test_any_frames(name: str) -> None:
    command = COMMANDS[name]

    @quick
    @given(content=npy_files())
    def clean(content: bytes) -> None:
        with workplace() as place:
            furnish(place)
            (place.here / "x.npy").write_bytes(content)
            command.check(place, [*command.works, "--input", "x.npy"])

    clean()


@thorough
@quick
@given(
    layer=layer_files(),
    frames=npy_files(),
    arrays=st.dictionaries(st.sampled_from([*NETWORK_ARRAYS, "surplus"]), npy_files()),
    which=st.sampled_from(["layer", "frames", "network"]),
)
def test_any_network(layer: bytes, frames: bytes, arrays: dict[str, bytes], which: str) -> None:
    """`scripts.accuracy_digits` with each of its three files foul."""
    command = COMMANDS["scripts.accuracy_digits"]
    with workplace() as place:
        furnish(place)
        folder = place.here / "digits"
        if which == "layer":
            (folder / "digits_layer.npz").write_bytes(layer)
        elif which == "frames":
            (folder / "digits_layer_activations.npy").write_bytes(frames)
        else:
            with np.load(folder / "digits_layer_network.npz") as old:
                members = {name: npy(old[name]) for name in NETWORK_ARRAYS} | arrays
            (folder / "digits_layer_network.npz").write_bytes(
                archive([(f"{name}.npy", c) for name, c in members.items()])
            )
        command.check(place, command.works)


# --- as processes ---


def process(name: str, *argv: str | bytes, folder: Path) -> Outcome:
    command = [sys.executable, "-m", name, *argv]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=TIMEOUT)
    return Outcome(status=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


@thorough
@pytest.mark.parametrize(
    ("name", "argv"),
    [
        ("golden.run", ["layer.npz", "--input", "foul.npy", "--output", "y.npy"]),
        ("golden.vectors", ["foul.npz", "--out", "out"]),
        ("hw.build", [b"layer.npz", b"--target", b"\xff"]),
        ("hw.synth", ["layer.npz", "--out="]),
        ("sim.run", ["layer.npz", "--input", "x.npy", "--report=--"]),
        ("scripts.fuzz", ["--count", "9" * 5000]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals_of_processes(name: str, argv: list[str | bytes]) -> None:
    """What the other tests do within one process is what a user sees."""
    with workplace() as place:
        furnish(place)
        before = place.contents()
        outcome = process(name, *argv, folder=place.here)
        assert outcome.status == 2
        assert_refusal(outcome)
        assert place.contents() == before


def test_names_that_are_no_text() -> None:
    """Bytes that are no UTF-8 name files, too, and are printed as far as they can be."""
    with workplace() as place:
        furnish(place)
        argv = [b"layer.npz", b"--input", b"x.npy", b"--output", b"\xff.npy"]
        outcome = process("golden.run", *argv, folder=place.here)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out == "layer.npz: 1 frames from x.npy to \\udcff.npy\n"
        assert os.fsencode(place.here / "\udcff.npy") in [os.fsencode(path) for path in place.contents()]
