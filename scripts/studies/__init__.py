"""Studies: declared grids of runs, what runs and keeps them, and the report of what came out.

In the order of the flow: `functions` (what a run calls), `grid` (a study and its runs), `catalogue`
(the studies there are), `content` (what identifies a result), `store` (results, in a database),
`engine` (runs on processes or a cluster), `forecast` (what a study will cost), `statistics`,
`hardware` (what a layer takes of an FPGA), `rtl` (layers again in a simulator), `report` (the
figures in tables), `plots` and `page`.
"""
