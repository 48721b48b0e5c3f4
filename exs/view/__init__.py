"""Rows, columns and renderers. Knows no Redis."""
