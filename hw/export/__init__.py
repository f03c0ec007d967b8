"""Export: a unit or a network as files that other tools take.

It passes the modules in this order:

==================  ======================================================================
`axi_ports`         the unit or the network behind the names of AXI
`manifest`          what a user, a test bench or a script must know of a unit
`yosys`             Amaranth's Yosys in this process
`verilog`           the Verilog of a unit
`network_manifest`  what they must know of a network
`network_verilog`   the Verilog of a network: its units, and the module that joins them
`interfaces`        buses, clock and reset, read off the manifest
`fusesoc`           a core file for FuseSoC
`ipxact`            a component for IP-XACT
`vivado`            a script that packages an IP in Vivado
`integration`       the files for all these tools
==================  ======================================================================
"""
