"""X-volution in exact integers and in floating point.

Each package imports only from those above it:

=============  ====================================================
`support`      the command line, caches, progress and pages
`contract`     what layer files and integers mean
`layers`       layers with a name, and random layers
`model`        layers in exact integers
`operators`    layers in floating point
`networks`     networks of named steps
`training`     tasks and training
`quantise`     from floating point to integers
`experiments`  whole experiments
`run`          the command that runs a layer on frames
`testbench`    a test bench in Verilog that checks itself
`vectors`      the command that writes vectors for HDL test benches
=============  ====================================================
"""
