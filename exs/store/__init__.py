"""Everything that touches Redis; `Store` is the one interface page."""
