"""Edges: what joins the nodes of a network.

===========  ==========================================================
`fifo`       a FIFO of any depth
`fork`       one stream to several consumers
`relay`      two beats in registers
`adapter`    beats of another number of elements
`pacer`      beats at an even rate
===========  ==========================================================
"""
