"""What tests share.

===================  ================================================================
`tiers`              what ``make test`` leaves to ``make check``, and that to ``make nightly``
`places`             places of files
`units`              units for tests of the hardware
`rounding`           rounding, as tests expect it
`operands`           operands that drive the sums of a lane to their limits
`heads`              control and similarities of heads
`schedule`           the order in which a unit works, beat by beat
`storage`            bits that a network stores
`components`         components in Amaranth's simulator
`nodes`              nodes of a network in Amaranth's simulator
`front_end`          the front of a reloadable unit in Amaranth's simulator
`control_bench`      the control plane in Amaranth's simulator
`netlists`           small netlists
`quantised`          small networks to quantise
`onnx_models`        ONNX models, node by node
`brevitas_networks`  networks of Brevitas, and QONNX files as it writes them
`conversions`        what every source of a conversion is tested for
`study_stand_ins`    a quick function for studies
`foul`               right and wrong files and arguments
`workplace`          a folder for each run of a command, and what must hold of it
`commands`           every command, and stand-ins for its slow stages
`refusals`           what a command does with wrong input
`pages`              blocks and commands of pages, and how they are run
`compilers`          a C++ compiler for programs that run once
`page_bench`         the driver of a page, on a simulated board
===================  ================================================================
"""
