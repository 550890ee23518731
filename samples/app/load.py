"""An open-loop load generator: requests leave by the clock, whether or not earlier ones have come back.

A slow answer therefore shows as latency and never as a lower rate. Every request that is not answered with 2xx or 3xx
counts as failed, with its reason, as does one whose server says so of a call of its own; nothing is retried.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from samples.app import http1
from samples.app.client import Connection

SHOWN_FAILURES = 20


@dataclass(slots=True)
class Record:
    """What happened so far. Times are seconds since the start of the load; latency counts from the due time."""

    sent: int = 0
    finished: list[tuple[float, float]] = field(default_factory=list)  # (end, latency) of each success
    failures: list[tuple[float, str]] = field(default_factory=list)  # (due time, reason)
    servers: Counter[str] = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        """Return the JSON report; times in milliseconds, ``recovery_ms`` null when nothing succeeded any more."""
        latencies = sorted(latency * 1000 for _, latency in self.finished)
        recovery = self.recovery_seconds()
        return {
            "sent": self.sent,
            "ok": len(self.finished),
            "failed": len(self.failures),
            "reasons": dict(Counter(reason for _, reason in self.failures).most_common()),
            "first_failures": [
                {"at_seconds": round(at, 3), "reason": why} for at, why in self.failures[:SHOWN_FAILURES]
            ],
            "recovery_ms": None if math.isinf(recovery) else round(recovery * 1000, 1),
            "latency_ms": {
                name: round(_quantile(latencies, share), 2)
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
            },
            "servers": dict(self.servers),
        }

    def recovery_seconds(self) -> float:
        """Return the longest time from a failed request to the next successful answer; infinite when none came."""
        ends = sorted(end for end, _ in self.finished)
        worst = 0.0
        position = 0
        for at, _ in sorted(self.failures):
            while position < len(ends) and ends[position] < at:
                position += 1
            worst = max(worst, ends[position] - at if position < len(ends) else float("inf"))
        return worst


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def failure(status: int, report: dict[str, Any]) -> str:
    """Return why an answer counts as failed: by its status, or by that of the call that its server made for it."""
    if not 200 <= status < 400:
        return f"status {status}"
    called = report.get("called", {"status": status})
    if 200 <= called["status"] < 400:
        return ""
    return f"called: {called.get('error') or 'status {}'.format(called['status'])}"


class Load:
    """Sends requests to one URL at a fixed rate over a bounded number of keep-alive connections."""

    def __init__(self, options: argparse.Namespace, stop: asyncio.Event) -> None:
        self._address = http1.parse_url(options.url)
        self._options = options
        self._fields = [(name, value.strip()) for name, _, value in (item.partition(":") for item in options.header)]
        self._body = b"x" * options.body_bytes
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(options.connections)
        self._stop = stop
        self.record = Record()

    async def run(self) -> Record:
        """Send for the asked time or until told to stop, wait for the last answers, and return the record."""
        count = int(self._options.rate * self._options.seconds)
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                due = begin + number / self._options.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._stop.is_set():
                    break
                self.record.sent += 1
                group.create_task(self._one(begin, due))
        for connection in self._idle:
            connection.close()
        return self.record

    async def _one(self, begin: float, due: float) -> None:
        try:
            async with asyncio.timeout(self._options.timeout), self._room:
                status, content = await self._request()
        except TimeoutError:
            self.record.failures.append((due - begin, f"no answer within {self._options.timeout} s"))
        except (OSError, http1.ProtocolError) as error:
            self.record.failures.append((due - begin, f"{type(error).__name__}: {error}"))
        else:
            end = time.monotonic()
            report = json.loads(content) if content.startswith(b"{") else {}
            if reason := failure(status, report):
                self.record.failures.append((due - begin, reason))
            else:
                self.record.finished.append((end - begin, end - due))
                if report:
                    self.record.servers[str(report.get("pod", ""))] += 1

    async def _request(self) -> tuple[int, bytes]:
        self._idle = [connection for connection in self._idle if connection.usable]
        connection = self._idle.pop() if self._idle else await Connection.open(self._address.host, self._address.port)
        answer = await connection.request(self._options.method, self._address, self._fields, self._body)
        if connection.usable and not self._options.no_keepalive:
            self._idle.append(connection)
        else:
            connection.close()
        return answer


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``load`` to the command line."""
    parser = commands.add_parser("load", help="send requests at a fixed rate and print one JSON report")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32, help="requests in flight at most")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds per request")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument("--body-bytes", type=int, default=0)
    parser.add_argument("--no-keepalive", action="store_true", help="a connection for each request")
    parser.add_argument("--until-eof", action="store_true", help="end earlier when standard input ends")
    parser.set_defaults(run=_run)


async def _run(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    if options.until_eof:
        asyncio.get_running_loop().add_reader(sys.stdin, _read_to_end, stop)
    load = Load(options, stop)
    print(json.dumps({"event": "started", "url": options.url}), file=sys.stderr, flush=True)
    record = await load.run()
    print(json.dumps(record.summary()), flush=True)
    return 1 if record.failures else 0


def _read_to_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin)
        stop.set()
