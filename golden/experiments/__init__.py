"""Experiments: a network trained, quantised and measured, and a study of attention branches.

In the order of the data flow:

===============  =================================================================
`settings`       what an experiment can be asked for
`experiment`     one experiment from its settings to its figures
`float_file`     a trained network in floats, as a file
`structure`      an integer network of random weights, from the settings that shape it
`approximation`  how well pixel shifts stand for self-attention
===============  =================================================================
"""
