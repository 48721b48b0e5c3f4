"""The code as pushed: a directory becomes a capsule, a list of chunks with a digest, and a directory again.

    scan    which files belong to it, by the ignore rules          scan.py, ignore.py
    pack    chunks, the same bytes for the same tree               pack.py
    unpack  files from chunks, none of them outside of its root    unpack.py

Knows neither Redis nor YAML.
"""
