"""Calls between agents: one connection a pair, many calls at once."""
