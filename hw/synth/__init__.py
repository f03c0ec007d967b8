"""What a unit or a network costs in an FPGA and how fast it is, from free tools: ``python -m hw.synth``.

Its Verilog passes the modules in this order:

==================  ================================================================================
`__main__`          the command
`synthesis`         the whole flow: mapping, area, and for ECP5 placements and the best one's path
`toolchain`         Yosys and nextpnr as PyPI ships them
`mapping`           Yosys: Verilog becomes a flat netlist of a family's cells
`short_roms.v`      read-only memories of few words become LUTs with two outputs
`netlist`           a flat netlist, what drives what in it, and new cells for it
`parts`             the part of the whole that each cell belongs to
`stages`            the parts of a unit
`steps`             the parts of a network
`resources`         what counts as a LUT, a flip-flop, a DSP, a block RAM
`harness`           registers around the unit, so that few pins are enough
`sites`             the places of a device's multipliers and block RAMs
`lanes`             a unit's multipliers in an order in which neighbours work on the same
`network_floorplan` places for the multipliers and block RAMs of a network, step by step
`floorplan`         places for the multipliers, lane by lane
`ties`              constants of multipliers from their own block
`placement`         nextpnr: the highest clock, and the path that limits it
`critical_path`     the limiting path in words of stages and signals
`performance`       what cycles, clock and multipliers are worth
`report`            all figures as plain data, ``report.json``
`page`              all figures as a page with a picture, ``report.html``
`files`             what is written, the netlist and the configuration of the device included
==================  ================================================================================
"""
