"""The variables with which pulumi, kubectl and meshctl work on one cluster (`eval "$(make -s env)"`)."""

import contextlib
import os
import secrets
import shlex
import tempfile
from pathlib import Path

from embedded.plugins import install
from embedded.tools import paths

PASSPHRASE_BYTES = 32


def environment(cluster: str) -> dict[str, str]:
    """Variables for the cluster *cluster*: programs first on PATH, kubeconfig, Pulumi's backend, home and passphrase.

    Makes the state directory, the passphrase file and the plug-ins in PULUMI_HOME if need be. The backend is a directory of
    the cluster's state; NGINX_MESH_BACKEND_URL names another one (S3, Pulumi Cloud). Raises ToolError when pulumi or
    kubectl is missing.
    """
    state = paths.state_root(cluster)
    backend, home = state / "pulumi-backend", state / "pulumi-home"
    for directory in (backend, home):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    python = paths.ROOT / ".venv" / "bin" / "python"
    plugins = install.install(paths.path_of("pulumi"), home, paths.cache_root(), str(python))
    programs = [plugins.directory, paths.path_of("kubectl").parent, python.parent]
    return {
        "PATH": os.pathsep.join([*map(str, programs), _path_without(programs)]),
        "KUBECONFIG": str(state / "kubeconfig"),
        "PULUMI_BACKEND_URL": os.environ.get("NGINX_MESH_BACKEND_URL") or f"file://{backend}",
        "PULUMI_HOME": str(home),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase_file(state)),
        **plugins.environment,
    }


def passphrase_file(state: Path) -> Path:
    """The file with the random passphrase that encrypts the stack's secrets, mode 0600; made on first use only."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state / "passphrase"
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=state)  # mode 0600
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(PASSPHRASE_BYTES))
        with contextlib.suppress(FileExistsError):  # another run was faster: a link never replaces, its phrase stays
            os.link(draft, path)
        Path(draft).unlink()
    return path


def shell_lines(cluster: str) -> str:
    """`export` lines for a POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment(cluster).items())


def _path_without(programs: list[Path]) -> str:
    """The caller's PATH without what is put in front, so that a second `eval` adds nothing."""
    ours = set(map(str, programs))
    return os.pathsep.join(part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part not in ours)
