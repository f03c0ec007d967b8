"""Driver: what it loads through the control plane is the layer, what does not fit is refused by name before that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from golden.contract.layer import Layer
from golden.contract.layer_config import NEIGHBOURS
from golden.contract.layer_file import write_layer
from golden.model import integer
from golden.support.cli import UserError
from hw.control.control import Control
from hw.control.driver import AccessRefused, Board, Driver, complete
from hw.control.register_table import Access
from hw.control.registers import APPLY_PARTS, register_table
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import weight_banks, weight_words
from tests.support.control_bench import OKAY, DataPath, Master, reloadable, run_control, send_weights
from tests.support.units import changed
from tests.support.word_board import MISFITS, Frames, WordBoard, other_layer


class SimulatedBoard(Frames):
    """Registers and weights of a simulated control plane."""

    def __init__(self, ctx: Any, dut: Control, shapes: Shapes) -> None:
        super().__init__(shapes)
        self._ctx, self._dut = ctx, dut
        self._master = Master(ctx, dut, np.random.default_rng(0))

    async def read(self, address: int) -> int:
        word, response = await self._master.read(address)
        if response != OKAY:
            raise AccessRefused
        return word

    async def write(self, address: int, value: int) -> None:
        if await self._master.write(address, value) != OKAY:
            raise AccessRefused

    async def send_weights(self, beats: np.ndarray) -> None:
        assert beats.dtype == np.uint32
        await send_weights(self._ctx, self._dut, beats.tolist())


def run_driver(shapes: Shapes, body: Callable[[Driver, SimulatedBoard, DataPath], Coroutine[Any, Any, None]]) -> None:
    async def with_driver(ctx: Any, dut: Control, path: DataPath) -> None:
        board = SimulatedBoard(ctx, dut, shapes)
        await body(Driver(shapes.config, board), board, path)

    run_control(shapes, with_driver)


def in_force(shapes: Shapes, path: DataPath) -> tuple[np.ndarray, dict[str, list[int]]]:
    """What the data path has: weight words as `weight_words` gives them, for units with a memory a lane; constants."""
    width, elements = shapes.weight.width, shapes.lane_channels * shapes.channel_weights.length
    assert weight_banks(shapes) == [width * elements] * shapes.lanes
    values = [
        [
            [path.weights[lane, word] >> width * e & (1 << width) - 1 for e in range(elements)]
            for lane in range(shapes.lanes)
        ]
        for word in range(shapes.weight_depth)
    ]
    constants = {
        name: [
            path.constants[name, o // shapes.folding.pe, o % shapes.folding.pe]
            for o in range(shapes.layer.config.out_channels)
        ]
        for name in ("bias", "multiplier")
    }
    return np.array(values), constants


def check_in_force(shapes: Shapes, path: DataPath, layer: Layer, *, same_order: bool = True) -> None:
    """The set in force is ``layer``."""
    c = layer.config
    assert path.settings == {n: int(getattr(c, n)) for n in ("height", "width", "relu", "attn_shift", "out_shift")}
    words, constants = in_force(shapes, path)
    assert constants["bias"] == [int(value) % 2**32 for value in layer.bias]
    assert constants["multiplier"] == layer.multiplier.tolist()
    if same_order:
        built = dataclasses.replace(c, height=shapes.layer.config.height, width=shapes.layer.config.width)
        unit = changed(shapes, layer=dataclasses.replace(layer, config=built))
        assert (words == weight_words(unit) % 2**shapes.weight.width).all()


UNITS: dict[str, dict[str, Any]] = {
    "default": {},
    "gaps": {"out_channels": 6, "pe": 3},
    "depthwise": {"groups": 4, "kernel": 5, "stride": 2},
    "valid": {"padding": "valid", "out_bits": 5},
    "plain": {"attn_offsets": (), "in_bits": 3, "in_signed": True},
    "dynamic": {"product": "dynamic", "heads": 2},
}


@pytest.mark.parametrize("unit", UNITS)
def test_layers_after_each_other(unit: str) -> None:
    """Layers of other sizes and shifts: the set in force is the layer's, and its frames come out bit for bit."""
    shapes = reloadable(**UNITS[unit])
    c, limits = shapes.layer.config, shapes.config.reload
    least = c.kernel if c.padding == "valid" else 1
    layers = [
        shapes.layer,
        other_layer(shapes, 2, height=least, width=c.width, attn_shift=1, out_shift=limits.out_shift.low),
        other_layer(shapes, 3, width=least, relu=False, attn_shift=6, out_shift=limits.out_shift.high),
    ]

    async def body(driver: Driver, board: SimulatedBoard, path: DataPath) -> None:
        rng = np.random.default_rng(4)
        for layer in layers:
            await driver.load(layer)
            await driver.wait_applied()
            check_in_force(shapes, path, layer)
            board.layer = layer
            low, high = layer.config.in_range.low, layer.config.in_range.high
            shape = (2, layer.config.in_channels, layer.config.height, layer.config.width)
            frames = rng.integers(low, high, shape, endpoint=True)
            assert (await driver.run(layer, frames) == integer.run(layer, frames)).all()
        assert await driver.errors() == []
        assert path.applies == [(APPLY_PARTS, None)] * 3

    run_driver(shapes, body)


def test_from_a_frame_number_on() -> None:
    shapes = reloadable()

    async def body(driver: Driver, board: SimulatedBoard, path: DataPath) -> None:
        await driver.load(shapes.layer)
        await driver.load(other_layer(shapes), at=0x12345)
        await driver.wait_applied()
        assert path.applies == [(APPLY_PARTS, None), (APPLY_PARTS, 0x12345)]
        await driver.wait_free()
        path.delay = None
        await driver.apply(["constants"])
        with pytest.raises(UserError, match=r"^apply of settings is refused by the unit, its errors: apply_refused$"):
            await driver.apply(["settings"])
        with pytest.raises(
            UserError, match=r"^bias -3 of channel 0 is refused by the unit, its errors: busy, apply_refused$"
        ):
            await driver.write_constants(dataclasses.replace(shapes.layer, bias=np.array([-3, 0, 0, 0])))

    run_driver(shapes, body)


def test_a_smaller_format_of_weights_fits() -> None:
    shapes = reloadable(weight_bits=8)
    layer = other_layer(shapes, weight_bits=3)

    async def body(driver: Driver, board: SimulatedBoard, path: DataPath) -> None:
        await driver.load(layer)
        await driver.wait_applied()
        check_in_force(shapes, path, layer, same_order=False)
        words, _constants = in_force(shapes, path)
        wide = dataclasses.replace(layer, config=dataclasses.replace(layer.config, weight_bits=8))
        assert (words == weight_words(changed(shapes, layer=wide)) % 256).all()

    run_driver(shapes, body)


def test_offsets_in_another_order() -> None:
    """The weights go where the unit has the offset, whatever the order in the layer."""
    shapes = reloadable()
    layer = other_layer(shapes)
    order = np.random.default_rng(5).permutation(len(NEIGHBOURS))
    shuffled = dataclasses.replace(
        layer,
        config=dataclasses.replace(layer.config, attn_offsets=tuple(NEIGHBOURS[i] for i in order)),
        attn_weight=layer.attn_weight[..., order],
    )

    async def body(driver: Driver, board: SimulatedBoard, path: DataPath) -> None:
        await driver.load(shuffled)
        await driver.wait_applied()
        check_in_force(shapes, path, layer)

    run_driver(shapes, body)


def test_single_buffered() -> None:
    """Held while it is loaded, and not any more afterwards; a frame number is refused."""
    shapes = reloadable(single_buffered=True)

    async def body(driver: Driver, board: SimulatedBoard, path: DataPath) -> None:
        with pytest.raises(UserError, match=r"^frame number 4 cannot be waited for by a single-buffered unit$"):
            await driver.load(shapes.layer, at=4)
        await driver.ignore_tlast(True)
        await driver.load(shapes.layer)
        await driver.wait_applied()
        check_in_force(shapes, path, shapes.layer)
        table = register_table(shapes)
        assert table["control"].unpack(await board.read(table["control"].address)) == {"hold": 0, "ignore_tlast": 1}

    run_driver(shapes, body)


def test_errors_counters_and_reset() -> None:
    shapes = reloadable()

    async def body(driver: Driver, board: SimulatedBoard, path: DataPath) -> None:
        tall = other_layer(shapes, height=shapes.layer.config.height + 1).config
        with pytest.raises(UserError, match=r"^height 6 is refused by the unit, its errors: bad_value$"):
            await driver.write_settings(tall)
        with pytest.raises(AccessRefused):
            await board.read(0x7FFC)
        assert await driver.errors() == ["bad_access", "bad_value"]
        await driver.clear_errors(["bad_value"])
        assert await driver.errors() == ["bad_access"]
        await driver.clear_errors()
        assert await driver.errors() == []
        await driver.clear_counters()
        assert await driver.counters() == dict.fromkeys(("frames", "starved", "stalled", "saturated"), 0)
        assert await driver.frames_begun() == 0
        await driver.load(shapes.layer)
        await driver.wait_applied()
        assert (await driver.status())["configured"]
        await driver.soft_reset()
        assert not (await driver.status())["configured"] and path.resets == 1

    run_driver(shapes, body)


@pytest.mark.parametrize("what", MISFITS)
def test_a_layer_that_does_not_fit(what: str) -> None:
    """Refused in one line that names the field, its value and what is allowed, before anything is written."""
    built, fields, message = MISFITS[what]
    shapes = reloadable(**built)
    board = WordBoard(shapes)
    with pytest.raises(UserError, match=f"^{message}") as caught:
        complete(Driver(shapes.config, board).load(other_layer(shapes, **fields)))
    assert "\n" not in str(caught.value)
    assert board.writes == []


def test_another_unit() -> None:
    """The unit is not what the driver was told: the first constant that differs is named."""
    shapes = reloadable()
    for other, message in (
        (reloadable(simd=4), "simd of the unit is 4, the configuration has 2"),
        (reloadable(height=6), "max_height of the unit is 6, the configuration has 5"),
        (reloadable(pack=False), "fingerprint of the unit is .*, the configuration has .*"),
    ):
        board = WordBoard(other)
        with pytest.raises(UserError, match=f"^{message}$"):
            complete(Driver(shapes.config, board).load(shapes.layer))
        assert board.writes == []
    board = WordBoard(shapes)
    board.words[0] = 0xFFFFFFFF
    with pytest.raises(UserError, match=r"^identity 0xffffffff is not that of an X-volution unit, 0x58564f4c$"):
        complete(Driver(shapes.config, board).check_unit())


def test_every_constant_is_compared() -> None:
    shapes = reloadable(product="dynamic", heads=2)
    for register in register_table(shapes).of_access(Access.CONSTANT):
        for field in register.fields:
            board = WordBoard(shapes)
            board.words[register.address] ^= 1 << field.low
            with pytest.raises(UserError, match=f"^{field.name} "):
                complete(Driver(shapes.config, board).check_unit())


def test_a_stuck_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.control.driver.PATIENCE", 10)
    shapes = reloadable()
    board = WordBoard(shapes)
    board.set_status("pending")
    with pytest.raises(UserError, match=r"^free of the unit stays 0; its errors: none$"):
        complete(Driver(shapes.config, board).load(shapes.layer))
    with pytest.raises(UserError, match=r"^pending of the unit stays 1; its errors: none$"):
        complete(Driver(shapes.config, board).wait_applied())


def test_an_output_frame_of_a_wrong_length() -> None:
    shapes = reloadable()
    board = WordBoard(shapes)
    board.layer = other_layer(shapes, height=2)
    frame = np.zeros((4, 2, 6), np.int64)
    driver = Driver(shapes.config, board)
    complete(driver.send(board.layer, frame))
    with pytest.raises(UserError, match=r"^an output frame has 24 beats, the layer gives 60$"):
        complete(driver.receive(shapes.layer))
    with pytest.raises(UserError, match=r"^input has shape"):
        complete(driver.run(shapes.layer, frame))


def test_a_layer_file(tmp_path: Any) -> None:
    shapes = reloadable()
    layer = other_layer(shapes)
    write_layer(tmp_path / "layer.npz", layer)
    by_file, by_layer = WordBoard(shapes), WordBoard(shapes)
    loaded = complete(Driver(shapes.config, by_file).load_file(str(tmp_path / "layer.npz")))
    complete(Driver(shapes.config, by_layer).load(layer))
    assert loaded.config == layer.config
    assert by_file.writes == by_layer.writes != []
    with pytest.raises(UserError, match="neither a file nor"):
        complete(Driver(shapes.config, by_file).load_file("nowhere.npz"))


def test_a_board_that_waits_needs_an_event_loop() -> None:
    class Waiting(WordBoard):
        async def read(self, address: int) -> int:
            await Forever()
            return 0

    class Forever:
        def __await__(self) -> Any:
            yield

    shapes = reloadable()
    board: Board = Waiting(shapes)
    with pytest.raises(RuntimeError, match="event loop"):
        complete(Driver(shapes.config, board).check_unit())
