"""From many runs to an answer: a query language, tables of runs, and where runs are read from (MLXP's Reader)."""
