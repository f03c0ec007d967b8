"""Devices: what each FPGA has, and how fast a design is taken to run on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from golden.support.cli import UserError
from hw.targets.area import Area
from hw.targets.families import ECP5, XC7, XCUP, Target


@dataclass(frozen=True, kw_only=True)
class Device:
    """An FPGA.

    Attributes:
        name: what the user calls it.
        target: its family.
        has: what it has.
        part: the vendor's name of it, or of the module that it sits on.
        source: where the figures are from.
    """

    name: str
    target: Target
    has: Area
    part: str
    source: str

    @property
    def mhz(self) -> float:
        """Clock that a frame rate is counted with where none is given."""
        return CLOCK_MHZ[self.target.name]


#: Clock in MHz that designs are taken to reach. The network ``digits``, as fast as fits the smallest ECP5, was placed
#: at 112 MHz on speed grade 6. No free tool places Xilinx designs. There it is what peers' networks of the same kind
#: reach: FINN's on 7 series, NN2FPGA's on UltraScale+.
CLOCK_MHZ: Mapping[str, float] = {ECP5.name: 110, XC7.name: 100, XCUP.name: 250}

_ECP5_SHEET = "Lattice FPGA-DS-02012, table 1.1; Project Trellis for LUTs"
_XC7_SHEET = "AMD DS180"
_ZYNQ_SHEET = "AMD DS190"
_ZU_SHEET = "AMD DS891"


def _ecp5(name: str, part: str, lut: int, dsp: int, bram: int) -> Device:
    has = Area(lut=lut, ff=lut, dsp=dsp, bram=bram)
    return Device(name=name, target=ECP5, has=has, part=part, source=_ECP5_SHEET)


def _xilinx(
    name: str, part: str, source: str, target: Target, *, lut: int, dsp: int, bram: int, uram: int = 0
) -> Device:
    # Each LUT has two flip-flops in these families.
    has = Area(lut=lut, ff=2 * lut, dsp=dsp, bram=bram, uram=uram)
    return Device(name=name, target=target, has=has, part=part, source=source)


_ALL = (
    # Half the LUTs of a 25F, as its 97 kbit of distributed RAM say. nextpnr would use all of a 25F's.
    _ecp5("ecp5-12f", "LFE5U-12F", 12_144, 28, 32),
    _ecp5("ecp5-25f", "LFE5U-25F", 24_288, 28, 56),
    _ecp5("ecp5-45f", "LFE5U-45F", 43_848, 72, 108),
    _ecp5("ecp5-85f", "LFE5U-85F", 83_640, 156, 208),
    _xilinx("artix-35t", "XC7A35T", _XC7_SHEET, XC7, lut=20_800, dsp=90, bram=50),
    _xilinx("artix-100t", "XC7A100T", _XC7_SHEET, XC7, lut=63_400, dsp=240, bram=135),
    _xilinx("zynq-7010", "XC7Z010", _ZYNQ_SHEET, XC7, lut=17_600, dsp=80, bram=60),
    _xilinx("zynq-7020", "XC7Z020", _ZYNQ_SHEET, XC7, lut=53_200, dsp=220, bram=140),
    _xilinx("zu3eg", "XCZU3EG", _ZU_SHEET, XCUP, lut=70_560, dsp=360, bram=216),
    _xilinx("k26", "Kria K26", "AMD DS987", XCUP, lut=117_120, dsp=1_248, bram=144, uram=64),
    _xilinx("zu7ev", "XCZU7EV", _ZU_SHEET, XCUP, lut=230_400, dsp=1_728, bram=312, uram=96),
    _xilinx("zu9eg", "XCZU9EG", _ZU_SHEET, XCUP, lut=274_080, dsp=2_520, bram=912),
)
#: All devices by name.
DEVICES: Mapping[str, Device] = {device.name: device for device in _ALL}
#: What each device has, by its name.
CAPACITY: Mapping[str, Area] = {device.name: device.has for device in _ALL}


def find_device(name: str) -> Device:
    """The device called ``name``. Raises `UserError` if there is none."""
    if name not in DEVICES:
        raise UserError(f"device {name!r} is not one of {', '.join(DEVICES)}")
    return DEVICES[name]
