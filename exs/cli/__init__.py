"""One verb per file, thin: read options, call the Store, hand rows to view."""
