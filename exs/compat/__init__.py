"""The interfaces of other systems, on exs's queue."""
