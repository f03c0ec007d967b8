"""cocotb tests that every reloadable unit must pass: what it computes, when, and what it does with nonsense.

In every test, everything that passes the unit's ports is compared with `sim.reloadable.reference`. So a
test says what is to happen, and asserts only what the reference cannot know.

==========  ==============================================================
`unit`      the unit under test, and how tests begin
`loads`     loads, switches between sets, what is computed with each
`pauses`    pauses at each port
`frames`    frames that end too early, too late or never
`resets`    resets in any cycle, by wire and by command
`images`    malformed weight images
`accesses`  register accesses that must be refused
==========  ==============================================================
"""

#: The test modules, in the order in which they run.
MODULES = ("loads", "pauses", "frames", "resets", "images", "accesses")
