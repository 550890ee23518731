"""The Pulumi stack of a cluster, driven by the plain `pulumi` command line on the cluster's own backend."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedded import steps
from embedded.tools import paths

FLAGS = ["--non-interactive", "--color", "never"]
QUIET = ["--suppress-progress"]  # no rows of dots
PROJECT = "nginx-mesh"


async def up(stack: str, variables: Mapping[str, str], settings: Sequence[str]) -> None:
    """Select the stack (made on first use), write its settings, and make the cluster what it says. Raises StepError.

    *settings* are arguments of stacks.prepare.
    """
    # What a killed update did is not in the state; without a look at the cluster the next one would believe the state.
    look = ["--refresh"] if await free_stale_lock(stack, variables) else []
    if not await exists(stack, variables):
        forget_salt(paths.ROOT / "stacks" / f"Pulumi.{stack}.yaml")
    await steps.read(steps.python("-m", "stacks.prepare", stack, "--preset", "development", *settings))
    await steps.read(["pulumi", "stack", "select", "--create", stack, *FLAGS], variables)
    await steps.run(
        "pulumi up", ["pulumi", "up", "--yes", "--skip-preview", *look, *QUIET, "--stack", stack, *FLAGS], variables
    )


async def destroy(stack: str, variables: Mapping[str, str]) -> None:
    """Remove every object of the stack, and the stack. Raises StepError."""
    await free_stale_lock(stack, variables)
    if await exists(stack, variables):
        await steps.run(
            "pulumi destroy",
            ["pulumi", "destroy", "--yes", "--skip-preview", *QUIET, "--stack", stack, *FLAGS],
            variables,
        )
        await steps.read(["pulumi", "stack", "rm", "--yes", "--preserve-config", stack, *FLAGS], variables)


async def exists(stack: str, variables: Mapping[str, str]) -> bool:
    """Whether the backend has the stack."""
    listed = json.loads(await steps.read(["pulumi", "stack", "ls", "--json", *FLAGS], variables))
    return any(entry["name"].split("/")[-1] == stack for entry in listed)


def forget_salt(settings: Path) -> None:
    """Take the encryption salt out of a settings file whose stack is gone: it belongs to the passphrase of that stack."""
    if settings.exists():
        lines = settings.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("encryptionsalt:")]
        if kept != lines:
            settings.write_text("".join(kept))


async def free_stale_lock(stack: str, variables: Mapping[str, str]) -> bool:
    """Release the stack when every process that locked it on this machine is dead (a killed `pulumi up`); whether it was."""
    backend = variables["PULUMI_BACKEND_URL"]
    if not backend.startswith("file://"):
        return False
    place = Path(backend.removeprefix("file://")) / ".pulumi" / "locks"
    locks = list(place.glob(f"organization/{PROJECT}/{stack}/*.json"))
    if not locks or any(_owner_lives(lock) for lock in locks):
        return False
    steps.say("   an interrupted pulumi left its lock; releasing it")
    await steps.read(["pulumi", "cancel", "--yes", "--stack", stack, *FLAGS], variables)
    return True


def _owner_lives(lock: Path) -> bool:
    """Whether the process that wrote *lock* runs, or is on another machine, where nobody can tell."""
    try:
        owner = json.loads(lock.read_text())
    except FileNotFoundError:
        return False
    if owner["hostname"] != os.uname().nodename:
        return True
    return Path(f"/proc/{owner['pid']}").exists()
