"""The embedded Redis: find a binary, start it, stop it, know where its data lives."""
