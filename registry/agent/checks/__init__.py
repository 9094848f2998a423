"""How each type of check is run: a pure part that asks and judges, and probers that do it."""
