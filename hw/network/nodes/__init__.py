"""Nodes: the primitives that the steps of a network are made of.

=========  ======================================================================
`unit`     a layer, or a linear map: a frozen unit
`rescale`  one operand or the sum of two, in another format
`reduce`   the largest element or the sum of each window, along rows or columns
`merge`    beats of several inputs in an order that is always the same
`replay`   each pixel several times along its row, each row several times
`argmax`   the index of the largest element
=========  ======================================================================
"""
