"""SIGTERM asks a process to finish; it decides its exit code."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
from mesh.kit import shutdown
async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("asked", flush=True)
    {after}
    return 7
raise SystemExit(shutdown.run(main))
"""


@pytest.mark.parametrize(("after", "signals", "code"), [("pass", 1, 7), ("await asyncio.Event().wait()", 2, 1)])
def test_first_signal_asks_second_ends(after: str, signals: int, code: int) -> None:
    """One SIGTERM sets the event and the exit code is main's; a second one cancels what hangs."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(after=after)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        for number in range(signals):
            process.terminate()
            if number == 0:
                assert process.stdout.readline() == "asked\n"
        assert process.wait(10) == code
