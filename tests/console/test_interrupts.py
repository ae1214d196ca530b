"""Signals that wait for the end of a result, and libraries that are quiet."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from edge_lpr.console.interrupts import Interrupts, Terminated

HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none


@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated), (HANGUP, Terminated)],
)
def test_a_signal_waits_for_the_end_of_what_is_held(
    number: signal.Signals, kind: type[KeyboardInterrupt]
) -> None:
    before = signal.getsignal(number)
    done = []
    with pytest.raises(kind), Interrupts() as interrupts:
        with interrupts.held(), interrupts.held():
            os.kill(os.getpid(), number)
            done.append("all of it")
        done.append("never")
    assert done == ["all of it"] and signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none")
def test_a_hangup_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(HANGUP, signal.SIG_IGN)  # as nohup does
    try:
        with Interrupts():
            os.kill(os.getpid(), HANGUP)
        assert signal.getsignal(HANGUP) is signal.SIG_IGN
    finally:
        signal.signal(HANGUP, before)


def test_a_signal_elsewhere_comes_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()


def test_where_patience_ends_the_second_signal_comes_at_once() -> None:
    done = []
    with pytest.raises(Terminated), Interrupts() as interrupts, interrupts.held(patient=False):
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the first waits")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("never")
    assert done == ["the first waits"]


def test_what_waits_takes_effect_at_a_check() -> None:
    done = []
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt), interrupts.held(patient=False):
            interrupts.check()
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the step")
            interrupts.check()
            done.append("never")
        interrupts.check()
    assert done == ["the step"]


def test_another_thread_may_enter_and_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)

    def enter() -> None:
        with Interrupts() as interrupts, interrupts.held():
            assert signal.getsignal(signal.SIGINT) is before

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
