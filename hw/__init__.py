"""The streaming X-volution unit (arXiv 2106.02253) in Amaranth, and its Verilog.

Packages and modules, each importing only from those above it:

============  ======================================================================
`targets`     FPGA families, their hard blocks, devices
`blocks`      what all stages are made of
`plan`        what is asked of a unit, and all that follows from it
`options`     how a unit is asked for on the command line
`unit`        the stages in the order of the data flow, and the unit that wires them
`control`     registers, weight loader, and the driver in software
`frozen`      what a unit has whose layer is built in
`reloadable`  what a unit has whose layer comes at run time
`estimate`    what a unit will cost, without making it
`export`      AXI names, Verilog, manifest, and files for other tools
`synth`       what free tools make of the Verilog
`build`       the command that makes Verilog and a manifest of a layer
`weights`     the command that makes what software loads of a layer
============  ======================================================================
"""
