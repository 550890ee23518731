"""Write every IPv4 packet between given hosts to a pcap file until SIGTERM: ``python sniffer.py FILE HOST HOST...``.

Runs in the network namespace of a node, with nothing but the standard library. Prints ``ready`` when it listens.
"""

import signal
import socket
import struct
import sys
import time

_ETH_P_ALL = 0x0003  # taps for one protocol come after the bridge, which takes the packets away
_ETH_P_IP = 0x0800
_LINKTYPE_RAW = 101
_SNAP_BYTES = 65535


def main(path: str, hosts: set[bytes]) -> None:
    """Capture until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        open(path, "wb") as file,
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)) as capture,
    ):
        capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024 * 1024)
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP_BYTES, _LINKTYPE_RAW))
        print("ready", flush=True)
        while True:
            packet, (_, protocol, *_) = capture.recvfrom(_SNAP_BYTES)
            if protocol == _ETH_P_IP and packet[12:16] in hosts and packet[16:20] in hosts:
                now = time.time()
                seconds = int(now)
                file.write(struct.pack("<IIII", seconds, int((now - seconds) * 1e6), len(packet), len(packet)) + packet)
                file.flush()


if __name__ == "__main__":
    main(sys.argv[1], {socket.inet_aton(host) for host in sys.argv[2:]})
