"""Who owns a cluster, and one command at a time (contract 10.cluster-stop)."""

import subprocess
import sys
import threading
from pathlib import Path

from embedded.cluster import lifecycle, places, status

_HOLDER = """
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_owner_is_whoever_holds_the_lock(tmp_path: Path) -> None:
    where = places.Places(tmp_path)
    assert status.supervisor_pid(where) is None
    argv = (sys.executable, "-c", _HOLDER, str(where.supervisor_lock))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert status.supervisor_pid(where) == holder.pid
        assert status.supervisor_pid(where) == holder.pid, "asking must not take the lock away"
        holder.kill()
        holder.wait()
    assert status.supervisor_pid(where) is None


def test_a_second_command_says_that_it_waits_and_outlives_a_delete(tmp_path: Path) -> None:
    where = places.Places(tmp_path / "dev")
    said: list[str] = []
    waits, entered = threading.Event(), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waits.set()

    def second() -> None:
        with lifecycle.command_lock(where, say):
            assert where.command_lock.exists()
            entered.set()

    with lifecycle.command_lock(where, said.append):
        waiter = threading.Thread(target=second)
        waiter.start()
        assert waits.wait(5)
        assert not entered.is_set()
        where.command_lock.unlink()
    waiter.join(5)
    assert entered.is_set()
    assert said[0].startswith('waiting for another command on cluster "dev" (process ')
