"""Networks of other frameworks: read without a guess, rewritten as steps of ours, quantised, and compared.

And ours, written for others.

In the order of the data flow:

==================  =========================================================
`ops`               what a network of any source is made of
`graph`             the graph of a source, in these words
`window`            windows as sources describe them, honoured or refused
`steps`             what integers of a source's tensor stand for
`reading`           a graph that grows as its source is read
`leaf`              X-volution as one operation of an exported program
`module_ops`        PyTorch's operations
`module`            PyTorch's modules, and exported programs
`levels`            quantised constants
`onnx_file`         ONNX files, read without trust
`onnx_ops`          ONNX's operations
`qdq_ops`           quantising and dequantising, as ONNX has them
`qoperator_ops`     operations on integers, as ONNX has them
`qonnx_ops`         QONNX's operations
`qonnx_run`         QONNX's own executor
`onnx_graph`        ONNX's graphs
`source`            any source: its graph, and the values that it computes
`rewrite`           what other steps can do, folded into them
`build`             the float network of a graph
`multipliers`       ratios of scales, exact or as near as can be
`held`              how quantised results are held, zero points among them
`fitted`            weights, biases and multipliers, and how near they are
`sums`           what additions and means take
`exact`             the integer network of a graph that is quantised
`clipping`          weights that no format of ours holds
`compare`           how far integers are from their source
`convert`           from a source to a network file's content
`measure`           how a converted network answers many images
`report`            what a conversion did, for a terminal and as a page
`onnx_writer`       an ONNX graph, written node by node
`qonnx_rounding`    formats and requantisation in operations of QONNX
`qonnx_layer`       accumulators of layers in operations of ONNX
`export`            a network as a QONNX file
`__main__`          the command
==================  =========================================================
"""

from __future__ import annotations

from golden.support.cli import tell_missing_packages

tell_missing_packages()
