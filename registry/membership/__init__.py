"""SWIM gossip, wire-compatible with Serf: who is in the pool, and who of them is alive.

``swim.py`` (who lives) and ``serf.py`` (who meant to leave, tags, events, queries) are cores
without I/O; ``pool.py`` is what the rest of the house uses.
"""
