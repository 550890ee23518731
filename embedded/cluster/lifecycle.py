"""Start, stop, reset and delete a cluster; one command at a time per cluster."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from embedded.cluster import (
    addresses,
    api,
    binaries,
    cgroups,
    commands,
    dns,
    images,
    kubeconfig,
    network,
    node_settings,
    pki,
    places,
    requirements,
    settings,
    status,
    storage,
)

PHASE_SECONDS = 120.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.1
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kube-proxy")
Say = Callable[[str], None]


class StartError(RuntimeError):
    """The cluster cannot be started or did not become ready; the text says how far it came and what to look at."""


def start(name: str, where: places.Places, nodes: int | None, say: Say) -> None:
    """Bring the cluster up and wait until it can be used; what is already there is kept. Raises StartError."""
    addresses.check_name(name)
    requirements.check()
    with command_lock(where, say):
        _start(name, where, nodes, say)


def _start(name: str, where: places.Places, nodes: int | None, say: Say) -> None:
    running = status.supervisor_pid(where) is not None
    before = settings.find(where)
    wanted = nodes or (before.nodes if before else 1)
    if running and before is not None and wanted != before.nodes:
        raise StartError(f'cluster "{name}" runs with {before.nodes} nodes, not {wanted}; stop it first')
    watch = Stopwatch(say)
    plan = (before if running and before else settings.claim(name, where, wanted)).plan(name)
    try:
        archives = _prepare(plan, where)
        watch.done("certificates, settings, images" if not running else "already running")
        if not running:
            _spawn(where)
        _wait_until_usable(plan, where, archives, watch)
    except BaseException:
        if not running:
            say("not started; taking away what was made")
            _stop(name, where)
        raise


def _prepare(plan: addresses.Plan, where: places.Places) -> list[images.Archive]:
    """Write everything that the parts read."""
    pki.ensure(where.pki, pki.leaves(plan))
    for holder in CLIENTS:
        kubeconfig.write(where.pki / f"{holder}.kubeconfig", plan.name, plan.api_url, where.pki, holder)
    kubeconfig.write(where.kubeconfig, plan.name, plan.api_url, where.pki, "admin")
    pause = images.pause(where)
    for node in plan.nodes:
        node_settings.write(plan, node, where, pause.reference)
    return [pause, images.coredns(where, binaries.find("coredns"))]


def _spawn(where: places.Places) -> None:
    binaries.find_all()
    where.logs.mkdir(exist_ok=True)
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    with (where.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            (sys.executable, "-m", "embedded.cluster.supervisor", str(where.root)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + STOP_SECONDS
    while status.document(where).get("pid") != supervisor.pid:
        if supervisor.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"the supervisor did not start; see {where.logs}/supervisor.log")
        time.sleep(POLL_SECONDS)


def _wait_until_usable(
    plan: addresses.Plan, where: places.Places, archives: list[images.Archive], watch: "Stopwatch"
) -> None:
    numbers = range(1, plan.node_count + 1)
    _until(where, "containerd", lambda: all(_runtime_answers(where, number) for number in numbers))
    for number in numbers:
        images.load(status.entrance(where, number), [archive.path for archive in archives])
    watch.done("container runtime, own images")
    client = api.Api(plan.api_url, where.pki, "admin")
    _until(where, "the API server", lambda: client.text("/readyz") == "ok")
    watch.done("API server")
    coredns = next(archive.reference for archive in archives if "/coredns:" in archive.reference)
    for path, value in (*storage.objects(), *dns.objects(plan, coredns)):
        client.apply(path, value)
    _forget_lost_nodes(client, plan)
    since = float(status.document(where)["started"])
    _until(where, "nodes", lambda: all(status.ready_nodes(client, plan, since).values()))
    watch.done("nodes Ready")
    _until(where, "DNS", lambda: status.dns_answers(plan))
    watch.done("DNS answers")


def _runtime_answers(where: places.Places, number: int) -> bool:
    try:
        images.held(status.entrance(where, number))
    except (commands.CommandError, status.NotRunningError):
        return False
    return True


def _forget_lost_nodes(client: api.Api, plan: addresses.Plan) -> None:
    """Remove Node objects of an earlier start with more nodes."""
    names = {node.name for node in plan.nodes}
    for node in client.get("/api/v1/nodes")["items"]:
        if node["metadata"]["name"] not in names:
            client.delete(f"/api/v1/nodes/{node['metadata']['name']}")


def _until(where: places.Places, what: str, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PHASE_SECONDS
    while True:
        with contextlib.suppress(api.ApiError):
            if answers():
                return
        said = status.document(where)
        if status.supervisor_pid(where) is None:
            raise StartError(f"the supervisor ended: {said.get('state')}; see {where.logs}/supervisor.log")
        if time.monotonic() > deadline:
            down = [part["name"] for part in said.get("parts", []) if not part["pid"] or part["restarts"]]
            hint = f"parts that do not run or were restarted: {', '.join(down)}; " if down else ""
            raise StartError(f"{what}: no answer within {PHASE_SECONDS:.0f} s; {hint}see {where.logs}")
        time.sleep(POLL_SECONDS)


def stop(name: str, where: places.Places, say: Say) -> None:
    """Take the running cluster away, or what a dead one left; its state stays for the next start."""
    addresses.check_name(name)
    requirements.check()
    if not where.root.exists():
        return
    with command_lock(where, say):
        _stop(name, where)


def _stop(name: str, where: places.Places) -> None:
    pid = status.supervisor_pid(where)
    if pid:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while status.supervisor_pid(where) is not None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if status.supervisor_pid(where) == pid:
            os.kill(pid, signal.SIGKILL)
    value = settings.find(where)
    if value is not None:
        clear(value.plan(name))


def clear(plan: addresses.Plan) -> None:
    """Take away whatever a dead owner left: processes, cgroups, namespaces, links."""
    cgroups.clear(plan.name, cgroups.hierarchies())
    network.remove(plan.name, plan.slot)


def reset(name: str, where: places.Places, nodes: int | None, say: Say) -> None:
    """Stop, forget everything, start from nothing with as many nodes as before unless *nodes* says otherwise."""
    addresses.check_name(name)
    requirements.check()
    with command_lock(where, say):
        before = settings.find(where)
        _stop(name, where)
        _wipe(where)
        _start(name, where, nodes or (before.nodes if before else None), say)


def delete(name: str, where: places.Places, say: Say) -> None:
    """Stop and forget everything."""
    addresses.check_name(name)
    requirements.check()
    if not where.root.exists():
        return
    with command_lock(where, say):
        _stop(name, where)
        _wipe(where)
    shutil.rmtree(where.root)


def _wipe(where: places.Places) -> None:
    for entry in where.root.iterdir():
        if entry == where.command_lock:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextlib.contextmanager
def command_lock(where: places.Places, say: Say) -> Iterator[None]:
    """Hold the cluster's command lock, waiting for another command to end."""
    while True:
        where.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with where.command_lock.open("a+") as lock:
            _acquire(lock, where, say)
            # A delete for which we waited took the file with it, and whoever comes next would lock another one.
            if not _is_at(where.command_lock, lock):
                continue
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield
            return


def _acquire(lock: IO[str], where: places.Places, say: Say) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        say(f'waiting for another command on cluster "{where.root.name}" (process {lock.read().strip()})')
        fcntl.flock(lock, fcntl.LOCK_EX)


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


class Stopwatch:
    """Says each phase with the seconds that it took."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = time.monotonic()

    def done(self, phase: str) -> None:
        """Say that *phase* is over."""
        now = time.monotonic()
        self._say(f"  {phase:<36} {now - self._last:6.1f} s")
        self._last = now
