"""Other people's programs that exs runs on a laptop: git, batch schedulers, and a shell to read their scripts with."""
