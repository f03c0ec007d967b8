"""Targets: FPGA families and devices, and what they have.

============  ======================================================================
`families`    what a family multiplies and stores with, and how deep its pipeline is
`primitives`  instances of the hard blocks that a family has
`area`        cells of an FPGA, in the units in which vendors count
`devices`     how much of each a device has
============  ======================================================================
"""
