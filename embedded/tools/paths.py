"""Where things are: the cache, the state of a cluster, and the path of every tool."""

import functools
import os
from pathlib import Path

from embedded.tools import lock
from embedded.tools.errors import ToolError
from embedded.tools.store import State, Store

ROOT = Path(__file__).resolve().parent.parent.parent


def cache_root() -> Path:
    """What can be made again (tools, images, bases); safe to delete: $NGINX_MESH_CACHE, or under the user's cache."""
    return _place("NGINX_MESH_CACHE", "XDG_CACHE_HOME", ".cache")


def state_root(cluster: str) -> Path:
    """What one cluster keeps (kubeconfig, Pulumi backend, passphrase, logs): $NGINX_MESH_STATE/<cluster>."""
    return _place("NGINX_MESH_STATE", "XDG_STATE_HOME", ".local/state") / cluster


def store() -> Store:
    """The store of finished tools in the cache."""
    return Store(cache_root() / "tools")


def path_of(name: str) -> Path:
    """The program file of the tool *name*. Raises ToolError when it is unknown, not made yet or damaged."""
    [tool] = _lock().select([name])
    tools = store()
    state = tools.state(tool, thorough=False)
    if state is not State.READY:
        raise ToolError(f"{name} is {state}: run `make tools` (or `python embedded/tools --ensure {name}`)")
    return tools.path(tool)


@functools.cache
def _lock() -> lock.Lock:
    return lock.load()


def _place(own: str, shared: str, fallback: str) -> Path:
    if os.environ.get(own):
        return Path(os.environ[own]).absolute()
    base = Path(os.environ[shared]) if os.environ.get(shared) else Path.home() / fallback
    return base / "nginx-mesh"
