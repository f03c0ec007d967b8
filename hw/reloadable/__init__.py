"""Reloadable: what a unit has whose layer comes at run time.

The modules in the order of the data flow:

=================  ==========================================================
`frame_sets`       the two sets of numbers, and the change between them
`frame_writer`     takes the beats of frames and puts them into the row store
`frame_walk`       walks over the beats that read the row store
`positions`        gives each output position its tag
`loaded_words`     weights and constants that are loaded
`reloadable_unit`  the reloadable unit of these parts, with the control plane
=================  ==========================================================
"""
