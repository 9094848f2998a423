"""Our agent and a real Consul side by side: the same data, the same load, one at a time.

``make bench`` runs it; ``python -m bench --help`` (with ``tests`` on the path) lists the options.
"""
