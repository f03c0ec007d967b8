"""Area: cells of an FPGA, in the units in which vendors count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Area:
    """Cells of a unit, or of one of its stages, in the units in which vendors count.

    ====  ======================================  =============================================
    ..    ECP5                                    Xilinx 7 series and UltraScale+
    ====  ======================================  =============================================
    lut   LUT4: logic 1, carry cell 2, LUT RAM    LUT6: logic 1 (LUT6_2 too), shift register 1,
          of 16x4 bit 6 (4 of data, 2 that its    LUT RAM as many as hold its bits, once for
          write port takes)                       each port
    ff    flip-flop 1                             flip-flop 1
    dsp   MULT18X18D 1                            DSP48E1, DSP48E2 1
    bram  18 kbit block 1                         36 kbit block 1, half of it 0.5
    uram  none                                    UltraScale+ alone: 288 kbit block 1
    ====  ======================================  =============================================

    Wide multiplexers, Xilinx carry chains, inverters and buffers are not counted.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: float = 0
    uram: int = 0

    def __add__(self, other: Area) -> Area:
        return Area(
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            dsp=self.dsp + other.dsp,
            bram=self.bram + other.bram,
            uram=self.uram + other.uram,
        )

    def times(self, count: int) -> Area:
        return Area(
            lut=self.lut * count,
            ff=self.ff * count,
            dsp=self.dsp * count,
            bram=self.bram * count,
            uram=self.uram * count,
        )


#: Size of an UltraRAM.
URAM_KBIT = 288
#: Each resource's name for people, and the field of `Area` that holds it.
RESOURCES = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "BRAM": "bram", "URAM": "uram"}


def shown_resources(uram: int) -> dict[str, str]:
    """Those of `RESOURCES` that tables show: blocks that only one family has, only where some are taken."""
    return {name: key for name, key in RESOURCES.items() if key != "uram" or uram}
