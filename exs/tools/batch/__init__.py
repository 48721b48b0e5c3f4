"""`exs submit`: the commands of a batch script, each point of each one as a job of its own for the site's scheduler."""
