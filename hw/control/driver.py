"""Driver of a reloadable unit: loads layers, streams frames, reads counters and errors.

The driver reaches the unit through a `Board`, whose methods are coroutines. On simulated AXI masters
these methods wait for the clock. Where they never wait, as on memory-mapped hardware, `complete`
runs the driver's coroutines without an event loop:

    class Mapped:                                      # AXI4-Lite registers and two DMA channels
        async def read(self, address): return self.words[address // 4]
        ...

    driver = Driver.from_manifest("xvolution.json", Mapped())
    complete(driver.load(layer))
    outputs = complete(driver.run(layer, frames))
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol, TypeVar

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.contract.streams import from_beats, to_beats
from golden.layers import load_layer
from golden.support.cli import UserError
from hw.control.loadable import check_layer, layer_image, settings_of
from hw.control.register_table import WORD, Access
from hw.control.registers import APPLY_PARTS, register_table
from hw.plan.config import UnitConfig
from hw.plan.config_file import read_manifest_config
from hw.plan.sizes import Sizes

#: Reads of a status bit after which it counts as stuck.
PATIENCE = 100_000
COUNTERS = ("frames", "starved", "stalled", "saturated")
Result = TypeVar("Result")


class AccessRefused(Exception):
    """The unit answered an access with SLVERR. A `Board` raises it."""


class Board(Protocol):
    """How the driver reaches a unit. Addresses count bytes from the unit's first register."""

    async def read(self, address: int) -> int:
        """The 32-bit word of a register. Raises `AccessRefused`."""

    async def write(self, address: int, value: int) -> None:
        """Write a 32-bit word. Raises `AccessRefused`."""

    async def send_weights(self, beats: np.ndarray) -> None:
        """Send beats, uint32 ``[n]``, to the weight stream, TLAST with the last one."""

    async def send_frame(self, beats: np.ndarray) -> None:
        """Send beats, uint8 ``[n, bytes]``, to the input stream, TLAST with the last one.

        The method may return before the beats are taken. It must not wait for anybody to receive outputs.
        """

    async def receive_frame(self, beats: int) -> np.ndarray:
        """The next output beats up to TLAST, uint8 ``[beats, bytes]``."""


def complete(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("the board's methods wait for something, which needs an event loop")


class Driver:
    """Software's side of the unit that was built from ``config``.

    Every method raises `UserError` for what the unit refuses or does not allow.
    """

    def __init__(self, config: UnitConfig, board: Board) -> None:
        self._sizes, self._board = Sizes(config), board
        self._table = register_table(self._sizes)

    @classmethod
    def from_manifest(cls, path: str | os.PathLike[str], board: Board) -> Driver:
        """The driver of the unit that the manifest at ``path`` describes. Needs no other file.

        Raises `UserError` where the manifest cannot be read, or is that of a frozen unit.
        """
        return cls(read_manifest_config(path), board)

    async def check_unit(self) -> dict[str, int]:
        """Compare what the unit says it is with ``config``. Returns the unit's `constants`."""
        found, expected = await self.constants(), self._table.constants
        if found["identity"] != expected["identity"]:
            raise UserError(
                f"identity {found['identity']:#010x} is not that of an X-volution unit, {expected['identity']:#010x}"
            )
        # The fingerprint comes last of all, as it differs wherever anything does.
        for name in sorted(expected, key=lambda name: name == "fingerprint"):
            if found[name] != expected[name]:
                raise UserError(f"{name} of the unit is {found[name]}, the configuration has {expected[name]}")
        return found

    async def constants(self) -> dict[str, int]:
        """All fields of the unit's constant registers, as the unit tells them itself."""
        values: dict[str, int] = {}
        for register in self._table.of_access(Access.CONSTANT):
            values |= register.unpack(await self._board.read(register.address))
        return values

    async def load_file(self, layer: str, *, at: int | None = None) -> Layer:
        """`load` the layer of a file, or one of the project's layers by its name. Returns the layer."""
        loaded = load_layer(layer)
        await self.load(loaded, at=at)
        return loaded

    async def load(self, layer: Layer, *, at: int | None = None) -> None:
        """Write a whole set and apply it, at once or from frame ``at`` on. Waits only until a set may be written."""
        await self.check_layer(layer.config)
        single_buffered = self._sizes.config.limits.single_buffered
        if single_buffered:
            if at is not None:
                raise UserError(f"frame number {at} cannot be waited for by a single-buffered unit")
            await self.hold(True)
        await self.wait_free()
        await self.write_settings(layer.config)
        await self.write_weights(layer)
        await self.write_constants(layer)
        await self.apply(APPLY_PARTS, at=at)
        if single_buffered:
            await self.hold(False)

    async def check_layer(self, c: LayerConfig) -> None:
        """Raise `UserError` if a layer does not fit the unit, or the unit is not that of ``config``."""
        await self.check_unit()
        check_layer(self._sizes, c)

    async def write_settings(self, c: LayerConfig) -> None:
        """Write height, width, relu and shifts of the next set."""
        for name, value in settings_of(c).items():
            await self._write(name, value)

    async def write_weights(self, layer: Layer) -> None:
        """Write the weights of the next set. A load that was left unfinished is dropped."""
        await self._command("restart_load")
        await self._board.send_weights(layer_image(self._sizes, layer))
        await self._until("loaded", 1)

    async def write_constants(self, layer: Layer) -> None:
        """Write the biases and multipliers of the next set."""
        for name in ("bias", "multiplier"):
            window = self._table.window(name)
            for channel, value in enumerate(getattr(layer, name).tolist()):
                await self._write_word(f"{name} {value} of channel {channel}", window.word_address(channel), value)

    async def apply(self, parts: Iterable[str] = APPLY_PARTS, *, at: int | None = None) -> None:
        """Put ``parts`` of the next set in force at the next frame boundary, with ``at`` not before that frame."""
        fields = dict.fromkeys(parts, 1)
        what = f"apply of {', '.join(fields) or 'nothing'}"
        if at is not None:
            await self._write("apply_at", at)
            fields["wait"] = 1
        register = self._table["apply"]
        await self._write_word(what, register.address, register.pack(fields))

    async def wait_free(self) -> None:
        """Wait until the next set may be written and applied."""
        await self._until("free", 1)

    async def wait_applied(self) -> None:
        """Wait until no apply is pending."""
        await self._until("pending", 0)

    async def run(self, layer: Layer, frames: np.ndarray) -> np.ndarray:
        """Outputs, int64 ``[N, O, Ho, Wo]``, of frames ``[N, C, H, W]`` or ``[C, H, W]``, once the set is in force."""
        await self.wait_applied()
        frames = layer.check_input(frames)
        for frame in frames:
            await self.send(layer, frame)
        return np.concatenate([await self.receive(layer) for _frame in frames])

    async def send(self, layer: Layer, frame: np.ndarray) -> None:
        """Send one frame, integers ``[C, H, W]``."""
        payload = self._sizes.input_payload
        await self._board.send_frame(payload.pack(to_beats(layer.check_input(frame), payload.lanes)))

    async def receive(self, layer: Layer) -> np.ndarray:
        """The next output frame, int64 ``[1, O, Ho, Wo]``."""
        c, payload = layer.config, self._sizes.output_payload
        expected = c.out_channels * c.out_height * c.out_width // payload.lanes
        beats = await self._board.receive_frame(expected)
        if len(beats) != expected:
            raise UserError(f"an output frame has {len(beats)} beats, the layer gives {expected}")
        return from_beats(payload.unpack(beats), c.out_channels, c.out_height, c.out_width)

    async def hold(self, on: bool) -> None:
        """Set whether the unit begins no new frame."""
        await self._control("hold", on)

    async def ignore_tlast(self, on: bool) -> None:
        """Set whether TLAST of input frames is not compared with the frame size."""
        await self._control("ignore_tlast", on)

    async def status(self) -> dict[str, bool]:
        """Fields of the register ``status``."""
        return {name: bool(value) for name, value in (await self._read("status")).items()}

    async def frames_begun(self) -> int:
        """Frames begun since the reset: the number of the next one."""
        return (await self._read("frames_begun"))["frames_begun"]

    async def counters(self) -> dict[str, int]:
        """`COUNTERS` and their values."""
        return {name: (await self._read(name))[name] for name in COUNTERS}

    async def clear_counters(self) -> None:
        await self._command("clear_counters")

    async def errors(self) -> list[str]:
        """Names of the errors since they were cleared."""
        return [name for name, value in (await self._read("errors")).items() if value]

    async def clear_errors(self, names: Iterable[str] | None = None) -> None:
        """Clear the errors called ``names``, or all errors."""
        register = self._table["errors"]
        await self._write("errors", register.mask if names is None else register.pack(dict.fromkeys(names, 1)))

    async def soft_reset(self) -> None:
        """Restart the unit. It must be loaded again."""
        await self._command("soft_reset")

    async def _control(self, name: str, on: bool) -> None:
        register = self._table["control"]
        await self._write("control", register.pack(await self._read("control") | {name: int(on)}))

    async def _command(self, name: str) -> None:
        await self._write("command", self._table["command"].pack({name: 1}))

    async def _read(self, name: str) -> dict[str, int]:
        register = self._table[name]
        return register.unpack(await self._board.read(register.address))

    async def _write(self, name: str, value: int) -> None:
        await self._write_word(f"{name} {value}", self._table[name].address, value)

    async def _write_word(self, what: str, address: int, value: int) -> None:
        try:
            await self._board.write(address, value & (2**WORD - 1))
        except AccessRefused:
            raise UserError(f"{what} is refused by the unit, its errors: {', '.join(await self.errors())}") from None

    async def _until(self, flag: str, value: int) -> None:
        """Wait until a bit of the status has this value."""
        for _poll in range(PATIENCE):
            status = await self._read("status")
            if status[flag] == value:
                return
        errors = ", ".join(await self.errors()) or "none"
        raise UserError(f"{flag} of the unit stays {1 - value}; its errors: {errors}")
