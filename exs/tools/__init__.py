"""Other people's programs that exs runs on a laptop: batch schedulers, and a shell to read their scripts with."""
