"""Devices: what each FPGA has."""

from __future__ import annotations

from hw.targets.area import Area

#: What each device has, in the units of `hw.targets.area.Area`. All devices are of the target `DEVICE_TARGET`.
CAPACITY = {
    "ecp5-25f": Area(lut=24288, ff=24288, dsp=28, bram=56),
    "ecp5-45f": Area(lut=43848, ff=43848, dsp=72, bram=108),
    "ecp5-85f": Area(lut=83640, ff=83640, dsp=156, bram=208),
}
DEVICE_TARGET = "ecp5"
