"""Logging to standard error: constant lower-case events with fields, as text or as JSON lines.

log = logging.getLogger(__name__)
log.info("config applied", extra={"revision": "3.7"})
"""

import json
import logging
import time
from collections.abc import Mapping
from typing import Final

LEVELS: Final = {"debug": 10, "info": 20, "notice": 20, "warn": 30, "error": 40, "crit": 50, "alert": 50, "emerg": 50}
FORMATS: Final = ("text", "json")
_NEEDS_QUOTES: Final = frozenset(' ="\n\r\t')
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _stamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """``2026-01-02T03:04:05.678Z info mesh.bus: connected server=nats-server``."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_stamp(record)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        for name, value in _fields(record).items():
            text = str(value)
            line += f" {name}={json.dumps(text) if not text or _NEEDS_QUOTES & set(text) else text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line; an exception is the field ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry.update(_fields(record))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def configure(level: str = "info", format: str = "text") -> None:  # noqa: A002
    """Send everything at *level* and above to standard error. *level* is one of LEVELS, *format* one of FORMATS.

    Raises ValueError naming what is taken.
    """
    if level not in LEVELS:
        raise ValueError(f'log level: got "{level}", takes {", ".join(LEVELS)}')
    if format not in FORMATS:
        raise ValueError(f'log format: got "{format}", takes {", ".join(FORMATS)}')
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name, quieter in _QUIET.items():
        logging.getLogger(name).setLevel(max(quieter, LEVELS[level]))


# asyncio warns at each end of a TLS connection that was upgraded by start_tls, as nats-py does, and means nothing by
# it; hpack tells every header bit by bit.
_QUIET: Final = {"asyncio": logging.ERROR, "hpack": logging.WARNING}


def from_environment(environment: Mapping[str, str]) -> None:
    """Configure from MESH_LOG_LEVEL and MESH_LOG_FORMAT, which every process of ours takes."""
    configure(environment.get("MESH_LOG_LEVEL", "info"), environment.get("MESH_LOG_FORMAT", "text"))
