"""Export: the unit as files that other tools take.

A unit passes the modules in this order:

=============  ===========================================================
`axi_ports`    the unit behind the names of AXI
`manifest`     what a user, a test bench or a script must know of the unit
`verilog`      the Verilog of the unit
`interfaces`   buses, clock and reset, read off the manifest
`fusesoc`      a core file for FuseSoC
`ipxact`       a component for IP-XACT
`vivado`       a script that packages an IP in Vivado
`integration`  the files for all these tools
=============  ===========================================================
"""
