"""Fault points: nothing happens unless a test asks for it, and then the process dies as in a power cut."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from kernel.pure.faults import Faults

SCRIPT = "from kernel.pure.faults import fault_point; fault_point('a'); fault_point('b'); fault_point('a'); print('alive')"


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_the_process_dies_at_the_named_point() -> None:
    done = run(EMPORIUM_ENV="test", EMPORIUM_FAULT="b")
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_every_point_that_is_passed_is_written_down(tmp_path: Path) -> None:
    record = tmp_path / "points"
    assert run(EMPORIUM_ENV="test", EMPORIUM_FAULT_RECORD=str(record)).stdout == "alive\n"
    assert run(EMPORIUM_ENV="test", EMPORIUM_FAULT_RECORD=str(record), EMPORIUM_FAULT="b").returncode == -signal.SIGKILL
    assert record.read_text().split() == ["a", "b", "a", "a", "b"]


def test_outside_of_tests_nothing_happens() -> None:
    for environ in ({}, {"EMPORIUM_ENV": "production", "EMPORIUM_FAULT": "a"}, {"EMPORIUM_FAULT": "a"}):
        assert not Faults(environ).armed
    assert run(EMPORIUM_ENV="production", EMPORIUM_FAULT="a").stdout == "alive\n"
