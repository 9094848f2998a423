"""Consensus: entries and peers, nothing of services."""
