"""Control plane: a whole set reaches the data path, what is refused changes nothing, what went wrong is told."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from hw.control.control import Control
from hw.control.registers import APPLY_PARTS, register_table
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import beats_of_word, weight_banks, weight_image
from tests.support.control_bench import OKAY, SLVERR, DataPath, Master, reloadable, run_control, send_weights

UNITS: dict[str, dict[str, Any]] = {
    "default": {},
    "gaps": {"out_channels": 15, "pe": 3},
    "depthwise": {"groups": 4},
    "xcup": {"target": "xcup"},
    "one_word": {"simd": 4, "pe": 4},
}


class Software:
    """A bus master that knows the registers by name.

    Attributes:
        master: for accesses that the table does not know.
    """

    def __init__(self, ctx: Any, dut: Control, shapes: Shapes, *, pace: float = 1, seed: int = 0) -> None:
        self.master = Master(ctx, dut, np.random.default_rng([seed, 2]), pace=pace)
        self._ctx, self._dut, self._shapes, self._table = ctx, dut, shapes, register_table(shapes)

    async def get(self, name: str) -> dict[str, int]:
        word, response = await self.master.read(self._table[name].address)
        assert response == OKAY
        return self._table[name].unpack(word)

    async def put(self, name: str, *, refused: bool = False, **fields: int) -> None:
        """Write a register and check the answer."""
        response = await self.master.write(self._table[name].address, self._table[name].pack(fields))
        assert response == (SLVERR if refused else OKAY), f"{name} {fields}"

    async def put_constant(self, name: str, channel: int, value: int, *, refused: bool = False) -> None:
        response = await self.master.write(self._table.window(name).word_address(channel), value)
        assert response == (SLVERR if refused else OKAY), f"{name} of channel {channel}"

    async def errors(self) -> set[str]:
        """The errors so far, which are cleared."""
        found = {name: value for name, value in (await self.get("errors")).items() if value}
        await self.put("errors", **found)
        assert not any((await self.get("errors")).values())
        return set(found)

    async def load(self) -> None:
        """Weights, biases and multipliers of the unit's own layer."""
        layer = self._shapes.layer
        await send_weights(self._ctx, self._dut, weight_image(self._shapes).tolist())
        for name in ("bias", "multiplier"):
            for channel, value in enumerate(getattr(layer, name).tolist()):
                await self.put_constant(name, channel, value)

    async def apply(self, *parts: str, refused: bool = False, wait: int = 0) -> None:
        await self.put("apply", refused=refused, **dict.fromkeys(parts, 1), wait=wait)

    async def settled(self) -> None:
        while (status := await self.get("status"))["pending"] or status["switching"]:
            pass


def words_of_image(shapes: Shapes) -> dict[tuple[int, int], int]:
    """The image of the unit's own layer, word by word."""
    beats, words = iter(weight_image(shapes).tolist()), {}
    for bank, width in enumerate(weight_banks(shapes)):
        for word in range(shapes.weight_depth):
            own = itertools.islice(beats, beats_of_word(width))
            words[bank, word] = sum(beat << 32 * index for index, beat in enumerate(own))
    return words


def check_set(shapes: Shapes, path: DataPath) -> None:
    """Weights, biases and multipliers in force are those of the unit's own layer."""
    layer, pe = shapes.layer, shapes.folding.pe
    widths = weight_banks(shapes)
    written = {(bank, word): value & ((1 << widths[bank]) - 1) for (bank, word), value in path.weights.items()}
    assert written == words_of_image(shapes)
    expected = {("bias", o // pe, o % pe): int(value) & 0xFFFFFFFF for o, value in enumerate(layer.bias)}
    expected |= {("multiplier", o // pe, o % pe): int(value) for o, value in enumerate(layer.multiplier)}
    assert path.constants == expected


@pytest.mark.parametrize("pace", [1, 0.3])
@pytest.mark.parametrize("unit", UNITS)
def test_a_set_comes_into_force(unit: str, pace: float) -> None:
    seed = list(UNITS).index(unit)
    shapes = reloadable(seed, **UNITS[unit])
    c = shapes.layer.config

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes, pace=pace, seed=seed)
        built = {n: getattr(c, n) for n in ("height", "width", "relu", "attn_shift", "out_shift")}
        assert {name: (await unit.get(name))[name] for name in built} == built
        await unit.load()
        assert (await unit.get("status"))["loaded"] and not path.applies
        settings = {"height": 3, "width": c.width - 1, "relu": 0, "attn_shift": 6, "out_shift": c.out_shift - 1}
        for name, value in settings.items():
            await unit.put(name, **{name: value})
        await unit.put("apply_at", apply_at=0x89ABCDEF)
        await unit.apply(*APPLY_PARTS, wait=1)
        await unit.settled()
        assert path.applies == [(APPLY_PARTS, 0x89ABCDEF)]
        assert path.settings == settings
        check_set(shapes, path)
        status = await unit.get("status")
        assert status == {**dict.fromkeys(status, 0), "configured": 1, "idle": 1, "free": 1}

        await unit.put("height", height=2)
        await unit.put_constant("bias", 1, -5)
        await unit.apply("constants")
        await unit.settled()
        assert path.constants["bias", 1 // shapes.folding.pe, 1 % shapes.folding.pe] == 2**32 - 5
        assert path.settings == settings
        await unit.apply("settings")
        await unit.settled()
        assert path.settings == {**settings, "height": 2}
        assert path.applies[1:] == [(("constants",), None), (("settings",), None)]
        assert await unit.errors() == set()

    run_control(shapes, body, seed=seed)


def test_applies_that_are_refused() -> None:
    shapes = reloadable()

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes)

        async def refuse(*parts: str) -> None:
            before = len(path.applies)
            await unit.apply(*parts, refused=True)
            for _cycle in range(5):
                await ctx.tick()
            assert len(path.applies) == before
            assert await unit.errors() == {"apply_refused"}

        await refuse(*APPLY_PARTS)  # nothing is loaded
        await send_weights(ctx, dut, weight_image(shapes).tolist()[:-1])
        assert await unit.errors() == {"weights_short"}
        await refuse(*APPLY_PARTS)
        await unit.load()
        for count in range(3):
            for parts in itertools.combinations(APPLY_PARTS, count):
                await refuse(*parts)  # the first one must be of everything
        path.delay = None
        await unit.apply(*APPLY_PARTS)
        assert (await unit.get("status"))["pending"]
        await refuse("settings")
        path.delay = 0
        await unit.settled()
        await refuse()
        await refuse("weights")  # these are in force already
        await refuse("settings", "weights")
        await unit.apply("settings", "constants")

    run_control(shapes, body)


def test_an_apply_is_refused_while_frames_switch() -> None:
    shapes = reloadable()

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes)
        await unit.load()
        path.delay = 40
        await unit.apply(*APPLY_PARTS)
        while not (await unit.get("status"))["switching"]:
            pass
        path.delay = None
        assert not (await unit.get("status"))["free"]
        await unit.apply("settings", refused=True)
        await unit.put_constant("multiplier", 0, 1, refused=True)
        await unit.put("height", height=1)  # settings are out of the way once they are in force
        assert await unit.errors() == {"apply_refused", "busy"}
        path.delay = 0
        await unit.settled()
        await unit.apply("settings")

    run_control(shapes, body)


def test_the_next_set_is_closed_while_an_apply_is_pending() -> None:
    shapes = reloadable()

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes)
        await unit.load()
        path.delay = None
        await unit.apply(*APPLY_PARTS)
        for name in ("bias", "multiplier"):
            await unit.put_constant(name, 0, 7, refused=True)
            assert await unit.errors() == {"busy"}
        for name in ("height", "width", "attn_shift", "relu", "out_shift", "apply_at"):
            value = (await unit.get(name))[name]
            await unit.put(name, refused=True, **{name: value})
            assert await unit.errors() == {"busy"}
        ctx.set(dut.s_axis_weights_tvalid, 1)
        for _cycle in range(10):
            assert not ctx.get(dut.s_axis_weights_tready)
            await ctx.tick()
        ctx.set(dut.s_axis_weights_tvalid, 0)
        path.delay = 0
        await unit.settled()
        check_set(shapes, path)
        await unit.put_constant("bias", 0, 7)

    run_control(shapes, body)


@pytest.mark.parametrize("early", range(12))
def test_no_weight_slips_in_beside_an_apply(early: int) -> None:
    """A beat of the next image is offered ``early`` cycles after the write: it is taken before, or after the switch.

    Each beat is a word of its own, which is written at once.
    """
    shapes = reloadable(simd=1, kernel=1, attn_offsets=())
    assert max(weight_banks(shapes)) <= 32

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes)
        await unit.load()
        beats = weight_image(shapes).tolist()
        table = register_table(shapes)
        ctx.set(dut.s_axi_awaddr, table["apply"].address)
        ctx.set(dut.s_axi_wdata, table["apply"].pack(dict.fromkeys(APPLY_PARTS, 1)))
        ctx.set(dut.s_axi_wstrb, 15)
        ctx.set(dut.s_axi_awvalid, 1)
        ctx.set(dut.s_axi_wvalid, 1)
        ctx.set(dut.s_axi_bready, 1)
        response = None
        for cycle in range(40):
            if cycle == 1:
                ctx.set(dut.s_axi_awvalid, 0)
                ctx.set(dut.s_axi_wvalid, 0)
            if cycle == early:
                ctx.set(dut.s_axis_weights_tvalid, 1)
                ctx.set(dut.s_axis_weights_tdata, beats[0] ^ 1)
            if ctx.get(dut.s_axi_bvalid):
                response = ctx.get(dut.s_axi_bresp)
            taken = ctx.get(dut.s_axis_weights_tvalid & dut.s_axis_weights_tready)
            await ctx.tick()
            if taken:
                ctx.set(dut.s_axis_weights_tvalid, 0)
        if response == SLVERR:
            assert path.applies == [], "the beat came first"
        else:
            check_set(shapes, path)
        assert (response == SLVERR) == (early < 2)

    run_control(shapes, body)


def test_single_buffered_units_load_while_held_and_idle() -> None:
    shapes = reloadable(single_buffered=True)

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes)

        async def closed() -> None:
            assert not (await unit.get("status"))["free"] and not ctx.get(dut.s_axis_weights_tready)
            await unit.put_constant("bias", 0, 1, refused=True)
            assert await unit.errors() == {"busy"}

        await closed()
        path.idle = False
        await unit.put("control", hold=1)
        assert ctx.get(dut.o_hold)
        await closed()
        path.idle = True
        await ctx.tick()
        await unit.load()
        path.delay = None
        await unit.apply(*APPLY_PARTS)
        await closed()
        path.delay = 0
        await unit.settled()
        check_set(shapes, path)
        await unit.put("control", hold=0)
        await closed()

    run_control(shapes, body)


def test_errors_of_the_bus_and_of_the_streams() -> None:
    shapes = reloadable()
    c, table = shapes.layer.config, register_table(shapes)

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes)
        write, read = unit.master.write, unit.master.read
        height, identity, bias = table["height"].address, table["identity"].address, table.window("bias")
        for address, strobes in [
            (height + 1, 15),
            (0x80, 15),
            (bias.end, 15),
            (identity, 15),
            (height, 7),
            (height, 0),
        ]:
            assert await write(address, 1, strobes) == SLVERR
            assert await unit.errors() == {"bad_access"}, hex(address)
        for address in (height + 2, 0x80, bias.address, table["apply"].address, 0x1FFFC):
            assert (await read(address))[1] == SLVERR
            assert await unit.errors() == {"bad_access"}, hex(address)
        for name, value in [
            ("height", 0),
            ("height", c.height + 1),
            ("width", 2**32 - 1),
            ("attn_shift", 0),
            ("attn_shift", 7),
            ("out_shift", c.out_shift + 5),
            ("relu", 2),
            ("control", 4),
        ]:
            assert await write(table[name].address, value) == SLVERR
            assert await unit.errors() == {"bad_value"}, f"{name} {value}"
        for value in (0, 2**16):
            await unit.put_constant("multiplier", 3, value, refused=True)
            assert await unit.errors() == {"bad_value"}
        assert (await unit.get("height"))["height"] == c.height and not path.next_constants

        for name in ("tlast_early", "tlast_late"):
            ctx.set(dut.i_errors[name], 1)
            await ctx.tick()
            ctx.set(dut.i_errors[name], 0)
            assert await unit.errors() == {name}
        beats = weight_image(shapes).tolist()
        await send_weights(ctx, dut, [*beats, 0])
        assert await unit.errors() == {"weights_long"}
        await send_weights(ctx, dut, beats[:-1])
        assert await unit.errors() == {"weights_short"}
        await send_weights(ctx, dut, beats[:5], last=-1)
        assert (await unit.get("status"))["loading"]
        await unit.put("command", restart_load=1)
        await send_weights(ctx, dut, beats)
        assert (await unit.get("status"))["loaded"] and await unit.errors() == set()

        # Errors are cleared one by one.
        await write(height, 0)
        await write(0x80, 0)
        await unit.put("errors", bad_value=1)
        assert await unit.errors() == {"bad_access"}

    run_control(shapes, body)


def test_counters() -> None:
    shapes = reloadable()
    pe = shapes.folding.pe

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit, rng = Software(ctx, dut, shapes), np.random.default_rng(5)
        ctx.set(dut.i_begun, 0xFEDCBA98)
        assert await unit.get("frames_begun") == {"frames_begun": 0xFEDCBA98}
        names = list(dut.i_counts.shape().members)
        for _round in range(2):
            expected = dict.fromkeys(names, 0)
            for _cycle in range(100):
                for name in names:
                    value = int(rng.integers(0, pe + 1 if name == "saturated" else 2))
                    ctx.set(dut.i_counts[name], value)
                    expected[name] += value
                await ctx.tick()
            for name in names:
                ctx.set(dut.i_counts[name], 0)
            assert {name: (await unit.get(name))[name] for name in names} == expected
            await unit.put("command", clear_counters=1)
            assert not any([(await unit.get(name))[name] for name in names])

    run_control(shapes, body)


@pytest.mark.parametrize("pace", [1, 0.2])
def test_soft_reset(pace: float) -> None:
    """Everything as after a reset, once, and the write that asks for it is answered."""
    shapes = reloadable()
    table = register_table(shapes)

    async def body(ctx: Any, dut: Control, path: DataPath) -> None:
        unit = Software(ctx, dut, shapes, pace=pace)
        registers = ["height", "width", "relu", "attn_shift", "out_shift", "apply_at", "control", "errors", "frames"]
        before = {name: await unit.get(name) for name in registers}
        for loaded in (False, True):
            await unit.load()
            await unit.put("height", height=2)
            await unit.put("control", hold=1, ignore_tlast=1)
            assert ctx.get(dut.o_ignore_tlast)
            await unit.put("apply_at", apply_at=9)
            assert await unit.master.write(table["height"].address, 0) == SLVERR
            ctx.set(dut.i_counts.frames, 1)
            await ctx.tick()
            ctx.set(dut.i_counts.frames, 0)
            path.delay = None if loaded else 0
            await unit.apply(*APPLY_PARTS)
            if not loaded:
                await unit.settled()
                await send_weights(ctx, dut, [1, 2, 3], last=-1)
            await unit.put("command", soft_reset=1)
            status = await unit.get("status")
            assert status == {**dict.fromkeys(status, 0), "idle": 1, "free": 1}
            assert {name: await unit.get(name) for name in registers} == before
            assert path.resets == 1 + loaded

    run_control(shapes, body)
