"""How well pixel-shift attention stands for self-attention, what both see, and what they cost.

In the order of the data flow:

=================  ======================================================
`images`           the images that are learned from
`denoiser`         a network that trains self-attention
`fit`              pixel shifts fitted to self-attention, and their score
`receptive_field`  how much of a frame an output pixel depends on
`growth`           how the cost grows with the number of pixels
`study`            all of these as one study
=================  ======================================================
"""
