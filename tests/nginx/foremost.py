"""Pods that a machine serves first, so that what is measured in them is theirs, whatever else runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.dataplane.accounts import Account
from tests.nginx.network import Pod, run


@contextmanager
def foremost(*pods: Pod) -> Iterator[Account]:
    """What runs in *pods* now comes before everything else, this process too, and pays into one account."""
    account = Account(f"nginx-mesh-test-{os.getpid()}")
    try:
        account.prefer()
        for pod in pods:
            for pid in map(int, run("ip", "netns", "pids", pod.namespace).split()):
                if pid != os.getpid():
                    account.add(pid)
        yield account
    finally:
        account.release()
        account.close()
