"""What is wrong with a Redis, with this machine, with a queue: small checks that return findings."""
