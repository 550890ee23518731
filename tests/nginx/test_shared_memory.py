"""The counters file, when who wrote to it died or stopped in the middle, and when it is full (contract 6.shared-memory)."""

import mmap
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.nginx.conftest import Pair
from tests.nginx.sidecar import Sidecar

# Where things are in it: docs/reference/metrics.md.
LOCK = 16
SLOT_COUNT = 40
HISTOGRAM_COUNT = 1128
INDEX, INDEX_SIZE = 4096, 4 * 8192
SLOTS = INDEX + INDEX_SIZE
SLOT_LENGTH = SLOTS + 20
HISTOGRAM_INDEX, HISTOGRAM_INDEX_SIZE = SLOTS + 4096 * 1024, 4 * 16384
HISTOGRAM_SLOT = HISTOGRAM_INDEX + HISTOGRAM_INDEX_SIZE + 8
MOST_CIRCUITS, MOST_SERIES = 2048, 4096
LOST_COUNTS = "nginx_mesh_lost_counts_total"
pytestmark = pytest.mark.spec("6.shared-memory")


def word(sidecar: Sidecar, place: int, form: str, value: int) -> None:
    """Write a number into the counters file."""
    with (sidecar.directory / "counters").open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        struct.pack_into(form, content, place, value)


def began(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def owner(pid: int, beginning: int) -> int:
    """A process as the owner of a lock."""
    return (beginning & 0xFFFFFFFF) << 32 | pid


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def dead() -> Iterator[int]:
    """The owner was killed, and its parent has not noticed yet."""
    with process() as started:
        name = owner(started.pid, began(started.pid))
        os.kill(started.pid, signal.SIGKILL)
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        yield name


@contextmanager
def another() -> Iterator[int]:
    """The owner is gone, and its process id is another's by now."""
    with process() as started:
        yield owner(started.pid, began(started.pid) - 1)


@contextmanager
def older() -> Iterator[int]:
    """A lock that names a process id and nothing else."""
    with process() as started:
        yield started.pid


def refused(pair: Pair) -> None:
    """A call that is counted under a series which each worker looks for every time."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 503


def refusals(pair: Pair) -> float:
    return pair.client.refusals("outgoing", "no_endpoint")


@pytest.mark.parametrize("holder", [dead, another, older])
def test_a_lock_whose_owner_is_gone_is_taken_over(
    pair: Pair, holder: Callable[[], AbstractContextManager[int]]
) -> None:
    """The request that needs it goes on, and is counted."""
    pair.client.apply(pair.client_document(endpoints=[]))
    with holder() as name:
        word(pair.client, LOCK, "<Q", name)
        refused(pair)
        assert refusals(pair) == 1
    assert pair.client.metrics()[LOST_COUNTS] == 0


def test_an_owner_that_is_stopped_stops_nobody(pair: Pair) -> None:
    """Requests go on without, what they would have added is counted as lost, and said once; then all is as before."""
    pair.client.apply(pair.client_document(endpoints=[]))
    with process() as holder:
        word(pair.client, LOCK, "<Q", owner(holder.pid, began(holder.pid)))
        for _ in range(5):
            refused(pair)
        assert pair.client.metrics()[LOST_COUNTS] == 5
        assert refusals(pair) == 0
    refused(pair)
    assert refusals(pair) == 1
    assert pair.client.error_log.read_text().count("mesh: no room for another series") == 1


def test_what_a_dead_owner_left_half_done_is_put_right(pair: Pair) -> None:
    """It died while it made the indexes again: no series is made twice, none loses its values."""
    pair.client.apply(pair.client_document())
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    before = {name: value for name, value in pair.client.metrics().items() if "upstream_server" in name}
    assert before
    pair.client.apply(pair.client_document(endpoints=[]))
    refused(pair)
    with dead() as name:
        with (pair.client.directory / "counters").open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
            content[INDEX : INDEX + INDEX_SIZE] = bytes(INDEX_SIZE)
            content[HISTOGRAM_INDEX : HISTOGRAM_INDEX + HISTOGRAM_INDEX_SIZE] = bytes(HISTOGRAM_INDEX_SIZE)
            struct.pack_into("<Q", content, LOCK, name)
        refused(pair)
    assert refusals(pair) == 2
    assert before.items() <= pair.client.metrics().items()
    # The sidecar has forgotten the endpoint, and its series must be looked for again.
    pair.client.apply(pair.client_document())
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    after = pair.client.metrics()
    assert {name: after[name] for name in before if name.endswith(("requests", "_count"))} == {
        name: value + 1 for name, value in before.items() if name.endswith(("requests", "_count"))
    }


@pytest.mark.parametrize(
    ("place", "form", "value"),
    [
        pytest.param(SLOT_COUNT, "<Q", 1 << 40, id="slots"),
        pytest.param(SLOT_LENGTH, "<I", 1 << 30, id="labels"),
        pytest.param(HISTOGRAM_COUNT, "<Q", 1 << 40, id="histograms"),
        pytest.param(HISTOGRAM_SLOT, "<I", 1 << 30, id="histogram"),
    ],
)
def test_damaged_counters_start_anew(pair: Pair, place: int, form: str, value: int) -> None:
    """Nobody reads where such a number leads; the next master says so and serves."""
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    pair.client.stop()
    word(pair.client, place, form, value)
    pair.client.start()
    assert "are damaged and start anew" in pair.client.error_log.read_text()
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    assert pair.client.metrics()["nginxplus_http_requests_total"] == 1


def test_full_tables_let_calls_pass_and_say_so(pair: Pair) -> None:
    """More circuits than there is room for, and more series: those in vain are counted, and named in the log once."""
    document = pair.client_document()
    wanted = MOST_SERIES + 104
    for number in range(wanted):
        document.breaker([0] if number == 0 else [], f"shop/breaker-{number}", 3, 60_000)
    for document.revision in ("2.1", "2.2"):
        pair.client.apply(document)
        with pair.caller() as caller:
            assert caller.request("GET", "/").status == 200
    metrics = pair.client.metrics()
    assert metrics["nginx_mesh_lost_circuits"] == wanted - MOST_CIRCUITS
    # Of two documents each, and the two calls.
    assert metrics[LOST_COUNTS] >= 2 * (wanted - MOST_SERIES) + 2
    log = pair.client.error_log.read_text()
    first = f'that of "shop/breaker-{MOST_CIRCUITS}"'
    assert (
        log.count(f"no room for {wanted - MOST_CIRCUITS} circuits: they never open, the first of them is {first}") == 1
    )
    assert log.count("mesh: no room for another series") == 1
    pair.client.apply(pair.client_document())
    assert pair.client.metrics()["nginx_mesh_lost_circuits"] == 0
