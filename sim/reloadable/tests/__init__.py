"""cocotb tests that every reloadable unit must pass: what it computes, when, and what it does with nonsense.

Everything that passes the ports of the unit is compared with `sim.reloadable.reference` in every test, so a test says
what is to happen and asserts what the reference cannot know. `unit` is what the tests know of theirs; then one
module for each thing that is tried.
"""

#: In the order in which they run.
MODULES = ("loads", "pauses", "frames", "resets", "images", "accesses")
