"""The images that every node needs, and bringing image archives into the nodes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from embedded.cluster import commands, oci, parts, places

NAMESPACE = "k8s.io"
IMPORT_SECONDS = 300.0
_PAUSE_SOURCE = Path(__file__).with_name("pause.c")
_PAUSE_BUILD = ("gcc", "-Os", "-s", "-static", "-Wall", "-Werror", "-Wl,--build-id=none")


@dataclass(frozen=True, slots=True)
class Archive:
    """An image archive on the host with the reference of its image."""

    path: Path
    reference: str


def pause(where: places.Places) -> Archive:
    """The sandbox image, from our own source."""
    recipe = _PAUSE_SOURCE.read_bytes() + " ".join(_PAUSE_BUILD).encode()
    program = where.images / f"pause-{hashlib.sha256(recipe).hexdigest()[:16]}"
    if not program.exists():
        where.images.mkdir(parents=True, exist_ok=True)
        fresh = program.with_suffix(".new")
        commands.run(*_PAUSE_BUILD, "-o", str(fresh), str(_PAUSE_SOURCE))
        fresh.replace(program)
    return _archive(where, oci.Image("pause", {"pause": program}, ("/pause",), user="65535"))


def coredns(where: places.Places, program: Path) -> Archive:
    """The image of the DNS server."""
    return _archive(where, oci.Image("coredns", {"coredns": program}, ("/coredns",), user="65532"))


def _archive(where: places.Places, image: oci.Image) -> Archive:
    named = oci.reference(image)
    path = where.images / f"{named.rpartition('/')[2].replace(':', '-')}.tar"
    if not path.exists():
        oci.write_archive(image, path)
    return Archive(path, named)


def held(enter: Iterable[str]) -> dict[str, str]:
    """Reference -> manifest digest of every image of the node that the command prefix *enter* enters."""
    listing = commands.run(*enter, *_ctr(), "images", "list")
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2}  # reference, type, digest, ...


def load(enter: Iterable[str], archives: Iterable[Path]) -> list[Path]:
    """Import those of *archives* that the node does not hold with the same digest; returns the imported ones."""
    prefix = tuple(enter)
    present = held(prefix)
    imported: list[Path] = []
    for archive in archives:
        wanted = oci.manifests(archive)
        if wanted and all(present.get(name) == digest for name, digest in wanted.items()):
            continue
        # By standard input: the archive may be in a directory that the node does not see.
        with archive.open("rb") as content:
            argv = (*prefix, *_ctr(), "images", "import", "-")
            commands.run(*argv, stdin=content, timeout_seconds=IMPORT_SECONDS)
        imported.append(archive)
    return imported


def _ctr() -> tuple[str, ...]:
    return (str(parts.PROGRAMS / "ctr"), "--address", parts.CONTAINERD_SOCKET, "--namespace", NAMESPACE)
