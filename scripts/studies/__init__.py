"""Studies: declared grids of runs, what runs and keeps them, and the report of what came out.

In the order of the flow: `functions` (what a run calls: `experiment` with its `demands`, `approximation`, `rtl`),
`grid` (a study and its runs), `catalogue` (the studies there are), `content` (what identifies a result), `result`,
`store` (results, in a database), `plan` (what is left to do, and how long that takes), `worker` (one run), `engine`
(runs on processes or a cluster), `live` (how it goes on), `statistics`, `hardware` (what a network takes of an
FPGA), `report` (the figures in tables), `plots` and `page`.
"""
