"""Networks in exact integers.

In the order of the data flow:

==========  ===================================================
`steps`     each operation, for many frames at once
`network`   a whole network, step by step
`plain`     the readable model, a second opinion on the others
==========  ===================================================
"""
