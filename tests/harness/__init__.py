"""Real parts on one machine: redis-server, nodes with directories of their own, proxies that fail, and witnesses."""
