"""What is simulated: units, networks and their input.

============  ============================================
`stimulus`    input frames
`frozen`      frozen units, by name and random
`reloadable`  reloadable units, by name and random
`graphs`      networks by name
`network`     random networks in random hardware
`daily`       which of the named units `make check` simulates
============  ============================================
"""
