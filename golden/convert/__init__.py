"""Networks of other frameworks: read without a guess, rewritten as steps of ours, quantised, and compared.

In the order of the data flow:

==============  =========================================================
`ops`           what a network of any source is made of
`graph`         the graph of a source, in these words
`window`        windows as sources describe them, honoured or refused
`reading`       a graph that grows as its source is read
`module_ops`    PyTorch's operations
`module`        PyTorch's modules, and exported programs
`onnx_file`     ONNX files, read without trust
`onnx_ops`      ONNX's operations
`onnx_graph`    ONNX's graphs
`source`        any source: its graph, and the values that it computes
`rewrite`       what other steps can do, folded into them
`build`         the float network of a graph
`compare`       how far integers are from their source
`convert`       from a source to a network file's content
`report`        what a conversion did, as a page
==============  =========================================================
"""
