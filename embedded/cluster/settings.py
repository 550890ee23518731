"""What a cluster keeps from start to start: its slot and number of nodes, with the lock that hands out slots."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from embedded.cluster import addresses, places

# Machine-wide, unlike the state directory: two users' clusters must not take the same addresses.
REGISTRY = Path("/run/lock/nginx-mesh")


@dataclass(frozen=True, slots=True)
class _Entry:
    slot: int
    state: str


class SlotError(RuntimeError):
    """No slot can be given to the cluster."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Slot number and number of nodes."""

    slot: int
    nodes: int

    def plan(self, name: str) -> addresses.Plan:
        """Names and addresses that follow from these for the cluster *name*."""
        return addresses.Plan(name, addresses.Slot(self.slot), self.nodes)


def load(where: places.Places) -> Settings:
    """Read the settings of a cluster that exists; raises FileNotFoundError when it does not."""
    document = json.loads(where.settings.read_text())
    return Settings(int(document["slot"]), int(document["nodes"]))


def find(where: places.Places) -> Settings | None:
    """Settings of a cluster, or None when it has never been started."""
    try:
        return load(where)
    except FileNotFoundError:
        return None


def store(where: places.Places, value: Settings) -> None:
    """Write the settings by rename."""
    where.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = where.settings.with_suffix(".new")
    fresh.write_text(json.dumps({"slot": value.slot, "nodes": value.nodes}) + "\n")
    fresh.replace(where.settings)


def claim(name: str, where: places.Places, nodes: int, registry: Path = REGISTRY) -> Settings:
    """Give the cluster a slot, the one it had before if it had one, and remember it; raises SlotError."""
    before = find(where)
    with _registry(registry) as slots:
        owner = slots.get(name)
        if owner is not None and Path(owner.state) != where.root and _lives(owner):
            raise SlotError(f'cluster "{name}": its name is in use by a cluster with its state in {owner.state}')
        used = {entry.slot: other for other, entry in slots.items() if other != name and _lives(entry)}
        slot = _choose(name, before, used)
        slots[name] = _Entry(slot, str(where.root))
        value = Settings(slot, nodes)
        store(where, value)
    return value


def _choose(name: str, before: Settings | None, used: dict[int, str]) -> int:
    if before is not None:
        if before.slot in used:
            other = used[before.slot]
            remedy = f"reset cluster {name} to give it another"
            raise SlotError(f"slot {before.slot} of cluster {name} is now that of cluster {other}; {remedy}")
        return before.slot
    free = [number for number in range(addresses.SLOTS) if number not in used]
    if not free:
        raise SlotError(f"all {addresses.SLOTS} slots are taken by {', '.join(sorted(used.values()))}; reset one")
    return free[0]


def _lives(entry: _Entry) -> bool:
    """A slot belongs to its cluster for as long as the cluster has a state directory."""
    return places.Places(Path(entry.state)).settings.exists()


@contextlib.contextmanager
def _registry(directory: Path) -> Iterator[dict[str, _Entry]]:
    """Read the registry under its lock, and write back what the caller changed."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = directory / "slots.json"
        held = json.loads(file.read_text()) if file.exists() else {}
        slots = {name: _Entry(**entry) for name, entry in held.items()}
        yield slots
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({name: asdict(entry) for name, entry in slots.items()}, indent=2) + "\n")
        fresh.replace(file)
