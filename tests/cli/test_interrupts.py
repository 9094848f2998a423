import signal

import pytest

from lictor.cli.interrupts import termination_interrupts, until_interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_interrupt(number):
    with pytest.raises(KeyboardInterrupt), termination_interrupts():
        signal.raise_signal(number)


def test_what_was_started_is_known_before_the_interrupt_comes():
    started = None
    with termination_interrupts() as interrupts:
        holding = interrupts.held_back()
        holding.__enter__()
        signal.raise_signal(signal.SIGTERM)
        started = "a child"
        with pytest.raises(KeyboardInterrupt):
            holding.__exit__(None, None, None)
    assert started == "a child"


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with until_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
