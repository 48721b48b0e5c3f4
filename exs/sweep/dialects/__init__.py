"""One file per dialect, each with `read(documents, context) -> Sweep`."""
