"""Run directories brought from the nodes that have them to this machine.

Files come through Redis in pieces, several asked for ahead (source.py). A directory appears whole: what has come so far
lies in `.exs-fetch/` beside it, from where the next call goes on (part.py); each file is compared with the node's by
SHA-256 before it counts. A node is not trusted with paths: nothing is written outside the directory, and through no
link (fetcher.py).
"""
