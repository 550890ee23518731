"""Seeing from the pod's sockets whether the application lives (contract 6.drain)."""

import pytest

from mesh.sidecar.drain import application_sockets, until_deaf, until_quiet

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(state: str, uid: int, inode: int) -> str:
    return f"   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5}        0 {inode} 1 0\n"


@pytest.mark.spec("6.drain")
@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([], 0),
        ([row("0A", 2102, 11), row("01", 2102, 12)], 0),
        ([row("0A", 1337, 11)], 1),
        ([row("0A", 0, 11), row("01", 0, 12), row("01", 2102, 13)], 2),
        ([row("06", 0, 0), row("05", 1337, 0), row("04", 1337, 5), row("09", 1337, 5)], 0),
        ([row("08", 1337, 14)], 1),
    ],
    ids=["nothing", "only the sidecar", "listening", "listening and connected", "the kernel's leftovers", "close-wait"],
)
def test_only_what_the_application_holds_counts(rows: list[str], count: int) -> None:
    """Its listeners and connections; not the sidecar's, not what the kernel finishes alone."""
    assert application_sockets([HEAD + "".join(rows)]) == count


@pytest.mark.spec("6.drain")
async def test_calls_are_taken_as_long_as_the_application_listens() -> None:
    """Its own connections do not hold the end up, nor do the sidecar's listeners; who never listened is not waited for."""
    tables = [
        row("0A", 2102, 11) + row("0A", 1337, 12),
        row("0A", 0, 12) + row("01", 0, 13),
        row("01", 0, 13),
        row("0A", 0, 14),
    ]
    seen = iter(tables)
    await until_deaf(0, lambda: [HEAD + next(seen)])
    assert list(seen) == tables[3:]


def test_both_families_count() -> None:
    """An application that listens on IPv6 only lives, too."""
    assert application_sockets([HEAD, HEAD + row("0A", 1337, 11)]) == 1


@pytest.mark.spec("6.drain")
@pytest.mark.parametrize(
    ("quiet", "sockets", "looks"),
    [
        (0, "..", 1),
        (0, "xx.x", 3),
        (3, "...........", 4),
        (3, "xx..x..x.......", 11),
    ],
)
async def test_a_while_without_sockets_ends_the_drain(quiet: float, sockets: str, looks: int) -> None:
    """One look a second: between two calls an application holds no socket, and has not ended for that."""
    seen = iter(sockets)
    count = 0

    def read() -> list[str]:
        nonlocal count
        count += 1
        return [HEAD + (row("01", 1337, 11) if next(seen) == "x" else "")]

    await until_quiet(quiet, 0, read, lambda: float(count or 1))
    assert count == looks
