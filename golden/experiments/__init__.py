"""Experiments: a network trained, quantised and measured, and a study of attention branches.

In the order of the data flow:

===============  ===============================================
`settings`       what an experiment can be asked for
`experiment`     one experiment from its settings to its figures
`approximation`  how well pixel shifts stand for self-attention
===============  ===============================================
"""
