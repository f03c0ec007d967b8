"""What networks mean: steps of exact integers, in a graph and in files.

In the order of the data flow:

==============  =======================================================
`result`        shape and format of a step's result, or of the image
`step`          what all steps have in common
`layer`         a layer of the contract
`add`           the sum of two results
`pooling`       how many windows a frame has
`max_pool`      the largest element of each window
`avg_pool`      the requantised sum of each window
`linear`        sums of the whole frame
`concat`        the channels of several results, one after the other
`upsample`      each pixel several times
`argmax`        which channel is the largest
`ops`           all operations by name
`network`       the graph, and its refusals
`builder`       a network that grows step by step
`network_file`  networks in files
==============  =======================================================
"""
