"""The ``lictor`` command."""
