"""The reference of a reloadable unit: it follows the ports cycle by cycle, and fails where the unit errs.

The reference knows nothing of the gateware but what its documents say: the register table, when
an apply takes effect, and what becomes of malformed frames and images. Frames are computed by the
integer model. Where the documents leave a cycle open, either answer of the unit is right. What
follows from the answer is not open.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.contract.layer import Layer
from golden.contract.streams import from_beats, to_beats
from golden.model import integer
from hw.control.register_table import WORD, Access, Register, Window
from hw.control.registers import APPLY_PARTS, register_table
from hw.plan.config import UnitConfig
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import image_beats, weight_image
from sim.reloadable.port_monitor import Cycle, Read, Write

#: Registers that hold the settings of the next set.
SETTINGS = ("height", "width", "relu", "attn_shift", "out_shift")
#: Cycles after which the registers show everything that happened at the ports, except cut elements.
SHOWN = 4
#: Cycles from the last moment that counts for a write to its answer.
JUDGED = 4
#: Cycles from a frame's last output transfer until all its cut elements are counted.
COUNTED = 16
#: Half of all frame numbers. A frame number less than this behind the next one has passed.
HALF = 1 << (WORD - 1)


@dataclass(kw_only=True)
class Frame:
    """A frame that has begun.

    Attributes:
        number: its number since the last reset, from 0.
        layer: the layer that it must be computed with.
        wanted: number of input beats of a whole frame.
        beats: input beats that have come; zeros take the place of missing ones.
        damaged: whether the unit must mark it.
        outputs: TDATA of its output beats; None until all input is known.
        cut: number of output elements that saturation cuts at a limit other than 0.
    """

    number: int
    layer: Layer
    wanted: int
    beats: list[int] = field(default_factory=list)
    damaged: bool = False
    outputs: list[int] | None = None
    cut: int = 0


@dataclass(frozen=True, kw_only=True)
class Apply:
    """An apply that was accepted, with the settings and weights that it puts in force."""

    parts: tuple[str, ...]
    at: int | None
    settings: dict[str, int]
    weights: Layer | None


class Reference:
    """The unit ``config``, as seen from its ports. `observe` must be called in every cycle.

    Attributes:
        frames: frames under way, oldest first.
        completed: number of frames that came out since the last reset.
        damaged: numbers of the frames that came out marked.
        begun: cycles in which frames began since the last reset.
        soft_resets: number of soft resets so far.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config, self._shapes = config, Shapes(config)
        self._table = register_table(self._shapes)
        self._registers = {register.address: register for register in self._table.registers}
        self._images: dict[bytes, Layer] = {}
        self._starved, self._stalled = [0], [0]
        self.soft_resets = 0
        self._now = 0
        self._restart()

    def know(self, layer: Layer) -> None:
        """Tell the reference of a layer whose weights may be loaded."""
        built = self._config.layer.config
        order = [layer.config.attn_offsets.index(offset) for offset in built.attn_offsets]
        attn_weight = layer.attn_weight[..., order]
        weights = dataclasses.replace(self._config.layer, conv_weight=layer.conv_weight, attn_weight=attn_weight)
        image = weight_image(Shapes(self._config.of_layer(weights)))
        self._images[image.tobytes()] = weights

    def _restart(self) -> None:
        """Take the state after a reset."""
        self._single_buffered = self._config.limits.single_buffered
        self.values = {
            register.name: {field.name: field.reset for field in register.fields}
            for register in self._table.of_access(Access.READ_WRITE)
        }
        #: For each error, the cycles from which on it shows.
        self._errors: dict[str, list[int]] = {field.name: [] for field in self._table["errors"].fields}
        self._image: list[int] = []
        self._drops_image = False
        self._loaded: Layer | None = None
        # Settings, weights and constants are unknown until they have been written.
        self._settings: dict[str, int] | None = None
        self._weights: Layer | None = None
        channels = self._config.layer.config.out_channels
        self._constants: list[dict[str, list[int | None]]] = [
            {name: [None] * channels for name in ("bias", "multiplier")}
            for _ in range(1 if self._single_buffered else 2)
        ]
        self._chosen = 0
        self.pending: Apply | None = None
        #: The cycle in which the pending apply was ordered.
        self._ordered = 0
        self._frame: Frame | None = None
        self._pads = False
        self._drops = False
        self.frames: deque[Frame] = deque()
        self.begun: list[int] = []
        self.completed = 0
        self._of_old_set = 0
        self.damaged: list[int] = []
        self._received: list[int] = []
        self._ends: list[int] = []
        self._reset_at = self._moved = self._now
        self._clear_counters(exact=True)

    def _clear_counters(self, *, exact: bool) -> None:
        self._cleared, self._cut, self._cut_known = self._now, 0, exact

    # What others ask

    @property
    def errors(self) -> set[str]:
        """Errors that the unit must show now, or in a few cycles."""
        return {name for name, cycles in self._errors.items() if cycles}

    @property
    def idle(self) -> bool:
        """Whether all frames that began have come out whole."""
        return not self.frames

    @property
    def mid_frame(self) -> bool:
        """Whether the next beat belongs to a frame that has begun, or is dropped."""
        return self._frame is not None or self._drops

    @property
    def drops(self) -> bool:
        """Whether the next beat is dropped, because the frame before it did not end."""
        return self._drops

    @property
    def missing(self) -> int:
        """Number of beats that the frame under way at the input still lacks; 0 without one."""
        return self._frame.wanted - len(self._frame.beats) if self._frame is not None else 0

    @property
    def image_beats_taken(self) -> int:
        """Number of beats of the image that is being loaded; 0 without one."""
        return len(self._image)

    @property
    def configured(self) -> bool:
        return self._settings is not None

    @property
    def in_force(self) -> Layer:
        """The layer that a frame which begins now is computed with."""
        c, settings = self._config.layer.config, self._settings
        assert settings is not None and self._weights is not None
        constants = self._constants[self._chosen]
        assert None not in constants["bias"] + constants["multiplier"], "the bench has not written all constants"
        fields: dict[str, Any] = settings | {"relu": bool(settings["relu"])}
        return dataclasses.replace(
            self._weights,
            config=dataclasses.replace(c, **fields),
            bias=np.array(constants["bias"], np.int64),
            multiplier=np.array(constants["multiplier"], np.int64),
        )

    # Cycle by cycle

    def observe(self, now: Cycle) -> None:
        """Take in a cycle. Raises `AssertionError` for what must not happen."""
        self._now = now.number
        self._starved.append(self._starved[-1] + now.starved)
        self._stalled.append(self._stalled[-1] + now.stalled)
        if now.reset:
            self._restart()
            return
        soft_reset = False
        # A read shows what was the case before a write that is answered in the same cycle.
        if now.read is not None:
            self._check_read(now.read)
        if now.write is not None:
            soft_reset = self._check_write(now.write)
        if now.weight is not None:
            self._take_weight(*now.weight)
        if now.input is not None:
            self._take_input(*now.input)
        if now.output is not None:
            self._check_output(*now.output)
        if self.values["control"]["ignore_tlast"]:
            self._drops = False
        if self.pending is not None and self._frame is None and not self._pads:
            self._take_effect_if_due()
        if soft_reset:
            self.soft_resets += 1
            self._restart()

    def _fail(self, text: str) -> None:
        raise AssertionError(f"cycle {self._now}: {text}")

    # Input stream

    def _take_input(self, data: int, last: bool) -> None:
        strict = not self.values["control"]["ignore_tlast"]
        if self._drops:
            self._drops = not last
            return
        if self._frame is None:
            self._begin()
        frame = self._frame
        assert frame is not None
        frame.beats.append(data)
        complete = len(frame.beats) == frame.wanted
        if strict and last and not complete:
            self._error("tlast_early", delay=2)
            frame.damaged = self._pads = True
            frame.beats += [0] * (frame.wanted - len(frame.beats))
            complete = True
        elif strict and complete and not last:
            self._error("tlast_late", delay=2)
            frame.damaged = self._drops = True
        if complete:
            self._complete(frame)

    def _begin(self) -> None:
        if self._settings is None:
            self._fail("a frame begins although nothing is in force")
        if self.values["control"]["hold"]:
            self._fail("a frame begins although the unit is held")
        if self._pads:  # a frame begins only when all zeros of the one before are written
            self._pads = False
            # An apply that is answered in this very cycle is too late for this frame, as in frames without zeros.
            if self._ordered < self._now:
                self._take_effect_if_due()
        layer = self.in_force
        c = layer.config
        self._frame = Frame(
            number=len(self.begun),
            layer=layer,
            wanted=c.height * c.width * c.in_channels // self._config.folding.simd,
        )
        self.frames.append(self._frame)
        self.begun.append(self._now)

    def _complete(self, frame: Frame) -> None:
        """Compute the output of a frame whose input is all known."""
        c, inputs, outputs = frame.layer.config, self._shapes.input_payload, self._shapes.output_payload
        raw = b"".join(beat.to_bytes(inputs.bytes, "little") for beat in frame.beats)
        elements = inputs.unpack(np.frombuffer(raw, np.uint8).reshape(-1, inputs.bytes))
        x = from_beats(elements, c.in_channels, c.height, c.width)
        y = integer.run(frame.layer, x)
        packed = outputs.pack(to_beats(y, outputs.lanes))
        frame.outputs = [int.from_bytes(bytes(beat), "little") for beat in packed]
        frame.cut = count_cut(frame.layer, x)
        self._frame = None

    # Output stream

    def _check_output(self, data: int, last: bool, user: bool) -> None:
        if not self.frames:
            self._fail("there is more output than the frames call for")
        frame = self.frames[0]
        self._received.append(data)
        if not last:
            return
        if frame.outputs is None:
            self._fail(f"frame {frame.number} ends before its input does")
        assert frame.outputs is not None
        received, self._received = self._received, []
        if len(received) != len(frame.outputs):
            self._fail(f"frame {frame.number} ends after {len(received)} beats, not {len(frame.outputs)}")
        wrong = [i for i, (got, wanted) in enumerate(zip(received, frame.outputs, strict=True)) if got != wanted]
        if wrong:
            size = f"{frame.layer.config.height}x{frame.layer.config.width}"
            values = f"{received[wrong[0]]:#x} instead of {frame.outputs[wrong[0]]:#x}"
            self._fail(f"frame {frame.number}, {size}: {len(wrong)} beats are wrong, beat {wrong[0]} is {values}")
        if user != frame.damaged:
            self._fail(f"frame {frame.number} is {'not ' * (not user)}marked as damaged")
        if user:
            self.damaged.append(frame.number)
        self.frames.popleft()
        self.completed += 1
        self._cut += frame.cut
        self._ends.append(self._now)
        if not self.frames:
            self._pads = False

    # Weight stream

    def _take_weight(self, data: int, last: bool) -> None:
        if self._certainly_pending or self._certainly_closed:
            self._fail("a weight is taken while the next set is not free")
        self._seen_free()
        self._moved = self._now
        if self._drops_image:
            self._drops_image = not last
            return
        self._loaded = None
        if self._single_buffered:
            self._weights = None
        self._image.append(data)
        full = len(self._image) == image_beats(self._shapes)
        if full and last:
            self._loaded = self._images[np.array(self._image, np.uint32).tobytes()]
            if self._single_buffered:
                self._weights = self._loaded
        elif last:
            self._error("weights_short", delay=2)
        elif full:
            self._error("weights_long", delay=2)
            self._drops_image = True
        if full or last:
            self._image = []

    # Applies

    def _take_effect_if_due(self) -> None:
        apply = self.pending
        if apply is not None and (apply.at is None or (len(self.begun) - apply.at) % 2**WORD < HALF):
            self._take_effect()

    def _take_effect(self) -> None:
        apply = self.pending
        assert apply is not None
        self.pending = None
        self._moved = self._now
        self._of_old_set = len(self.begun)
        if "settings" in apply.parts:
            self._settings = apply.settings
        if "weights" in apply.parts:
            self._weights, self._loaded = apply.weights, None
        if "constants" in apply.parts and not self._single_buffered:
            self._chosen = 1 - self._chosen

    @property
    def _certainly_pending(self) -> bool:
        # Until the zeros of a short frame are written, its end may or may not have come.
        return self.pending is not None and not self._pads

    @property
    def _certainly_switched(self) -> bool:
        """Whether certainly no frame of the set before is under way any more."""
        complete = sum(cycle <= self._now - JUDGED for cycle in self._ends)
        return complete >= self._of_old_set and not (self.pending is not None and self._pads)

    @property
    def _certainly_closed(self) -> bool:
        """Whether the next set certainly cannot be written, even if no apply is pending."""
        return self._single_buffered and (not self.values["control"]["hold"] or self._frame is not None)

    @property
    def _certainly_free(self) -> bool:
        if self.pending is not None:
            return False
        if self._single_buffered:
            return bool(self.values["control"]["hold"]) and self.idle
        return self._certainly_switched

    # Registers

    def _error(self, name: str, *, delay: int = 0) -> None:
        self._errors[name].append(self._now + delay)

    def _check_write(self, write: Write) -> bool:
        """Check the answer to a write, and take it in. Returns whether the write is a soft reset."""
        entry = self._written_entry(write)
        if entry is None:
            self._refused(write, "bad_access")
        elif not _is_allowed(entry, write.value):
            self._refused(write, "bad_value")
        elif isinstance(entry, Window):
            self._write_constant(entry, write)
        elif entry.name == "apply":
            self._write_apply(entry, write)
        elif entry.name in SETTINGS or entry.name == "apply_at":
            self._guarded(write, "busy", must=self._certainly_pending, may=self.pending is not None)
            if write.okay:
                self._seen_free()
                self.values[entry.name] = entry.unpack(write.value)
        else:
            self._accepted(write)
            if entry.name == "command":
                return self._command(entry.unpack(write.value))
            if entry.name == "errors":
                for name in (name for name, bit in entry.unpack(write.value).items() if bit):
                    self._errors[name] = [cycle for cycle in self._errors[name] if cycle >= self._now]
            else:
                self.values[entry.name] = entry.unpack(write.value)
        return False

    def _written_entry(self, write: Write) -> Register | Window | None:
        """The register or window that a write is for; None if there is none that can be written like this."""
        if write.strobes != 0b1111 or write.address % 4:
            return None
        register = self._registers.get(write.address)
        if register is not None:
            return register if register.access.writable else None
        for window in self._table.windows:
            if self._channel(window, write.address) is not None:
                return window
        return None

    def _channel(self, window: Window, address: int) -> int | None:
        """The output channel of a word of a window."""
        if not window.address <= address < window.end:
            return None
        row, rest = divmod(address - window.address, window.stride)
        return row * window.lanes + rest // 4 if rest // 4 < window.lanes else None

    def _write_constant(self, window: Window, write: Write) -> None:
        closed = self._certainly_pending or self._certainly_closed
        self._guarded(write, "busy", must=closed, may=not self._certainly_free)
        if write.okay:
            self._seen_free()
            channel = self._channel(window, write.address)
            assert channel is not None
            signed = window.name == "bias" and write.value >= HALF
            value = write.value - 2**WORD if signed else write.value
            self._constants[(self._chosen + 1) % len(self._constants)][window.name][channel] = value

    def _write_apply(self, entry: Register, write: Write) -> None:
        bits = entry.unpack(write.value)
        parts = tuple(part for part in APPLY_PARTS if bits[part])
        wrong = not parts or ("weights" in parts and self._loaded is None) or (not self.configured and len(parts) < 3)
        must = wrong or self._certainly_pending
        may = self.pending is not None or not self._certainly_switched
        self._guarded(write, "apply_refused", must=must, may=may)
        if write.okay:
            self._seen_free()
            self._ordered = self._now
            self.pending = Apply(
                parts=parts,
                at=self.values["apply_at"]["apply_at"] if bits["wait"] else None,
                settings={name: self.values[name][name] for name in SETTINGS},
                weights=self._loaded,
            )

    def _seen_free(self) -> None:
        """Take note that nothing is pending any more: the unit's answer shows it."""
        if self.pending is not None:
            self._take_effect()

    def _command(self, bits: dict[str, int]) -> bool:
        if bits["restart_load"]:
            self._image, self._drops_image, self._moved = [], False, self._now
        if bits["clear_counters"]:
            self._clear_counters(exact=self.idle and self._quiet_output)
        return bool(bits["soft_reset"])

    def _guarded(self, write: Write, error: str, *, must: bool, may: bool) -> None:
        """Check a write that the unit refuses if it ``must``, and is free to refuse if it ``may``."""
        if must or (may and not write.okay):
            self._refused(write, error)
        else:
            self._accepted(write)

    def _accepted(self, write: Write) -> None:
        if not write.okay:
            self._fail(f"write of {write.value:#x} to {write.address:#x} is refused")

    def _refused(self, write: Write, error: str) -> None:
        if write.okay:
            self._fail(f"write of {write.value:#x} to {write.address:#x} is accepted, which is a case of {error}")
        self._error(error)

    def _check_read(self, read: Read) -> None:
        register = self._registers.get(read.address)
        readable = register is not None and register.access.readable
        if read.okay != readable:
            self._fail(f"read of {read.address:#x} is {'accepted' if read.okay else 'refused'}")
        if register is None or not readable:
            self._error("bad_access")
            return
        shown = register.unpack(read.value)
        assert read.value & ~register.mask & 0xFFFFFFFF == 0, f"{register.name} has bits without a meaning"
        for name, value in self._expected(register).items():
            if shown[name] != value:
                self._fail(f"{name} reads as {shown[name]}, not {value}")

    def _expected(self, register: Register) -> dict[str, int]:
        """The certain values of a register's fields, by name.

        A read shows the errors up to two cycles ago, and what was counted up to three cycles ago.
        """
        at, name = self._now - 3, register.name
        if register.access is Access.CONSTANT:
            return {field.name: field.reset for field in register.fields}
        if register.access is Access.READ_WRITE:
            return self.values[name]
        if self._now - self._reset_at < SHOWN:
            return {}
        if name == "errors":
            return {name: int(any(cycle <= at + 2 for cycle in cycles)) for name, cycles in self._errors.items()}
        if name == "frames_begun":
            return {name: sum(cycle <= at for cycle in self.begun)}
        if name == "frames":
            return {name: sum(self._cleared < cycle <= at for cycle in self._ends)}
        if name == "saturated":
            return {name: self._cut} if self._cut_known and self.idle and self._quiet_output else {}
        if name == "status":
            return self._expected_status()
        counted = {"starved": self._starved, "stalled": self._stalled}[name]
        return {name: max(0, counted[at] - counted[self._cleared])}

    @property
    def _quiet_output(self) -> bool:
        return not self._ends or self._now - self._ends[-1] > COUNTED

    def _expected_status(self) -> dict[str, int]:
        if self._now - max([self._moved, *self.begun[-1:], *self._ends[-1:]]) < SHOWN:
            return {}
        status = {
            "configured": int(self.configured),
            "loading": int(bool(self._image)),
        }
        if self.idle or self._frame is not None:
            status["idle"] = int(self.idle)
        if self.pending is None or self._certainly_pending:
            status["pending"] = int(self.pending is not None)
            status["loaded"] = int(self._loaded is not None)
        if self._certainly_switched:
            status["switching"] = 0
        if self._certainly_free:
            status["free"] = 1
        if self._certainly_pending or self._certainly_closed:
            status["free"] = 0
        return status


def count_cut(layer: Layer, x: np.ndarray) -> int:
    """Number of output elements of frames ``x`` that saturation cuts at a limit other than 0."""
    c = layer.config
    scaled = integer.accumulate(layer, x) * layer.multiplier[:, None, None]
    whole, rest = scaled >> c.out_shift, scaled & (2**c.out_shift - 1)
    half = 2**c.out_shift // 2
    up = np.zeros_like(whole)
    if c.out_shift and c.rounding != "floor":
        tie_is_up = whole % 2 == 1 if c.rounding == "half_even" else np.ones_like(whole, bool)
        up = (rest > half) | ((rest == half) & tie_is_up)
    y, limits = whole + up, c.out_range
    return int((y > limits.high).sum() + ((y < limits.low).sum() if limits.low else 0))


def _is_allowed(entry: Register | Window, value: int) -> bool:
    if isinstance(entry, Window):
        return entry.allowed is None or entry.allowed.low <= value <= entry.allowed.high
    fields = entry.unpack(value)
    inside = (f.allowed is None or f.allowed.low <= fields[f.name] <= f.allowed.high for f in entry.fields)
    return value & ~entry.mask == 0 and all(inside)
