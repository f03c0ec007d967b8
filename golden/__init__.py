"""X-volution in exact integers and in floating point.

Each package imports only from those above it:

=============  ====================================================
`support`      the command line, caches, progress and pages
`contract`     what files of layers and networks mean
`layers`       layers with a name, random layers and networks
`model`        layers and networks in exact integers
`operators`    layers in floating point
`networks`     networks of named steps
`training`     tasks and training
`quantise`     from floating point to integers
`experiments`  whole experiments
`run`          the command that runs a layer or a network on frames
`show`         the command that shows a network
`testbench`    a test bench in Verilog that checks itself
`vectors`      the command that writes vectors for HDL test benches
`convert`      networks of PyTorch and ONNX become network files
=============  ====================================================
"""
