"""Sweep files and command lines become jobs. Pure: no Redis, no processes."""
