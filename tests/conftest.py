"""How random the tests are: not at all in the gate, as much as time allows in a soak.

``make soak`` sets ``LICTOR_SOAK=1``: every Hypothesis test then draws from the seed it is given,
and tries many more examples than the number written at the test.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import settings

SOAK: Final = os.environ.get("LICTOR_SOAK") == "1"
MORE_EXAMPLES: Final = 20

OF_A_TEST: Final = "_hypothesis_internal_use_settings"
"""Where Hypothesis keeps a test's settings. It has no public way to change them later."""

settings.register_profile("gate", derandomize=True, deadline=None)
settings.load_profile("gate")


def soaked(fixed: settings) -> settings:
    """``fixed``, but random and longer."""
    return settings(
        fixed,
        derandomize=False,
        max_examples=fixed.max_examples * MORE_EXAMPLES,
        print_blob=True,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SOAK:
        return
    functions, machines = set(), set()
    for item in items:
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        if hasattr(function, OF_A_TEST):
            functions.add(function)
        elif hasattr(function, "_hypothesis_state_machine_class"):
            machines.add(getattr(item, "cls", None))
    for function in functions:
        setattr(function, OF_A_TEST, soaked(getattr(function, OF_A_TEST)))
    for machine in machines:
        machine.settings = soaked(machine.settings)
