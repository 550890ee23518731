"""What a process holds, private memory, shared memory, descriptors, and what it has spent."""

from pathlib import Path

from tests.nginx.sanitized import SANITIZED


def private_kib(pid: int) -> int:
    """Private memory; sanitizers keep freed memory for a while, so there it is nothing."""
    return 0 if SANITIZED else _sum(pid, "smaps_rollup", "Private_")


def most_memory_kib(pid: int) -> int:
    """Resident memory, the most that it ever was."""
    return _sum(pid, "status", "VmHWM")


def shared_memory_kib(pid: int) -> int:
    """Resident pages of memory files and anonymous shared mappings: nginx's zones, the counters file."""
    return _sum(pid, "status", "RssShmem")


def cpu_seconds(pid: int) -> float:
    """CPU time of its first thread since it began, of user and kernel."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def descriptors(pid: int) -> int:
    """How many are open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _sum(pid: int, file: str, start: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(start))
