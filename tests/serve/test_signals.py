"""Signals as a service takes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.waiting import LONG

from edge_lpr.serve.signals import Signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs the signals of POSIX")


def test_sighup_asks_once_and_sigterm_for_the_end() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        assert not signals.take_reload() and not signals.ends
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.take_reload() and not signals.take_reload()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # of the same request: `timeout` sends it twice
        assert signals.ends == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_ignores_sighup_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not signals.take_reload()
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_second_one_ends_at_once() -> None:
    program = (
        "import time\nfrom edge_lpr.serve.signals import Signals\n"
        "with Signals() as signals:\n    print('there', flush=True)\n"
        "    while not signals.ends: time.sleep(0.01)\n    print('asked', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 130
