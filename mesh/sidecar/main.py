"""The sidecar's agent as a process: read the environment, run (contract 5.sidecar, 6).

It runs under ``nginx-mesh-pid1``, which starts it again when it dies and keeps NGINX meanwhile. Exit code 2 means that
the settings are wrong and a new start would not help.
"""

import gc
import os
import sys

from mesh.api.errors import InvalidInputError
from mesh.kit import log, shutdown
from mesh.sidecar import settings as sidecar_settings
from mesh.sidecar.agent import Agent

EXIT_SETTINGS = 2


def main() -> int:
    """Run the agent until SIGTERM and the drain after it; returns the exit code."""
    try:
        settings = sidecar_settings.parse(os.environ)
    except InvalidInputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return EXIT_SETTINGS
    log.configure(settings.log_level, settings.log_format)
    # What was imported lives for ever: the collector need not walk it again, and its pages stay shared.
    gc.collect()
    gc.freeze()
    return shutdown.run(lambda stop: Agent(settings).run(stop))
