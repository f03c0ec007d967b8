"""Streaming X-volution units (arXiv 2106.02253) and networks of them in Amaranth, and their Verilog.

Packages and modules, each importing only from those above it:

============  ======================================================================
`targets`     FPGA families, their hard blocks, devices
`blocks`      what all stages are made of
`plan`        what is asked of a unit, and all that follows from it
`unit`        the stages in the order of the data flow, and the unit that wires them
`control`     registers, weight loader, and the driver in software
`frozen`      what a unit has whose layer is built in
`reloadable`  what a unit has whose layer comes at run time
`network`     whole networks: nodes, the streams between them, and when every beat moves
`estimate`    what a unit or a network will cost, without making it
`export`      AXI names, Verilog, manifest, and files for other tools
`options`     how a unit or a network is asked for on the command line
`synth`       what free tools make of the Verilog
`build`       the command that makes Verilog and a manifest of a layer or a network
`weights`     the command that makes what software loads of a layer
============  ======================================================================

`network_build` and `network_picture` are what `build` says and draws of a network.
"""
