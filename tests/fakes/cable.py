"""A cable between two network namespaces that does to packets what a bad network does.

Run as a program: ``cable.py NAMESPACE_A NAMESPACE_B FAULT...``; makes a device eth0 in each, prints ``ready`` and carries
packets until killed. The faults happen to full packets from A to B:

reorder    every seventh packet comes five packets late
stray      every five hundredth comes a second time, far out of the window of its connection
"""

import contextlib
import ctypes
import fcntl
import os
import select
import struct
import sys
from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_LIBC = ctypes.CDLL(None, use_errno=True)
_FULL_BYTES = 1000
_LATE = 5
_FAR = 1 << 30


def device(namespace: str) -> int:
    """Make eth0 in a namespace; returns the descriptor that carries its packets."""
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        if _LIBC.setns(there.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH14x", b"eth0", _IFF_TUN_NO_PI))
        _LIBC.setns(home.fileno(), _CLONE_NEWNET)
    return descriptor


def stray(packet: bytes) -> bytes:
    """The TCP packet with a sequence number far beyond the window, and a checksum that is right."""
    if packet[0] >> 4 == 6:
        start, addresses = 40, packet[8:40]
    else:
        start, addresses = (packet[0] & 15) * 4, packet[12:20]
    segment = bytearray(packet[start:])
    [number] = struct.unpack("!I", segment[4:8])
    segment[4:8] = struct.pack("!I", (number + _FAR) % (1 << 32))
    segment[16:18] = bytes(2)
    summed = addresses + struct.pack("!II", len(segment), 6) + segment + bytes(len(segment) % 2)
    total = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    segment[16:18] = struct.pack("!H", ~total & 0xFFFF)
    return packet[:start] + bytes(segment)


class Faults:
    """What becomes of the packets of one direction."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._count = 0
        self._late: list[tuple[int, bytes]] = []

    def carry(self, packet: bytes) -> Iterator[bytes]:
        """The packets that come out when *packet* goes in."""
        if len(packet) < _FULL_BYTES:
            yield packet
            return
        self._count += 1
        if "reorder" in self._names and self._count % 7 == 0:
            self._late.append((self._count + _LATE, packet))
        else:
            yield packet
        while self._late and self._late[0][0] <= self._count:
            yield self._late.pop(0)[1]
        if "stray" in self._names and self._count % 500 == 0:
            yield stray(packet)


def deliver(descriptor: int, packet: bytes) -> None:
    """Hand a packet to a device; one that is not up yet loses it."""
    with contextlib.suppress(OSError):
        os.write(descriptor, packet)


def main() -> None:
    """Carry packets until killed."""
    here, there = device(sys.argv[1]), device(sys.argv[2])
    faults = Faults(frozenset(sys.argv[3:]))
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([here, there], [], [])
        if there in ready:
            deliver(here, os.read(there, 65536))
        if here in ready:
            for packet in faults.carry(os.read(here, 65536)):
                deliver(there, packet)


if __name__ == "__main__":
    main()
