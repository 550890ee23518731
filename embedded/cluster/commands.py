"""Run a system program, with a time limit and an error that shows what it said."""

import subprocess
from collections.abc import Sequence
from typing import IO

from embedded.cluster import requirements


class CommandError(RuntimeError):
    """A system program failed; the text holds its command line and its last words."""


def run(*argv: str, timeout_seconds: float = 30.0, stdin: IO[bytes] | None = None) -> str:
    """Run *argv* and return its standard output; raises CommandError on failure or time-out."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            timeout=timeout_seconds,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{shown(argv)}: no end after {timeout_seconds:.0f} s") from error
    except OSError as error:
        raise CommandError(f"{shown(argv)}: {error}") from error
    if done.returncode != 0:
        raise CommandError(
            f"{shown(argv)}: exit code {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode(errors="replace")


def environment(first_on_path: str = "") -> dict[str, str]:
    """Environment of every program of a cluster: nothing of the caller's, no proxy settings above all."""
    path = f"{first_on_path}:{requirements.SEARCH_PATH}" if first_on_path else requirements.SEARCH_PATH
    return {"PATH": path, "HOME": "/", "LANG": "C.UTF-8"}


def shown(argv: Sequence[str]) -> str:
    """A command line for an error message."""
    text = " ".join(argv)
    return text if len(text) <= 160 else text[:157] + "..."
