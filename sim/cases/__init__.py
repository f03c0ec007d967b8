"""What is simulated: units and their input.

============  ============================================
`stimulus`    input frames
`frozen`      frozen units, by name and random
`reloadable`  reloadable units, by name and random
`graphs`      networks by name, each for what can go wrong in it
`network`     random networks in random hardware
`daily`       which of the named units `make check` simulates
============  ============================================
"""
