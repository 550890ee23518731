"""The files that NGINX reads: written by rename, restored when NGINX refuses them (docs/reference/nginx-state.md)."""

from pathlib import Path

from mesh.kit import atomic
from mesh.sidecar import blame, nginx_state
from mesh.sidecar.step import STATE_FILE, State

SVID_FILE, BUNDLE_FILE = "svid.pem", "bundle.pem"
_MODES = {STATE_FILE: 0o644, SVID_FILE: 0o600, BUNDLE_FILE: 0o644}


class StateDirectory:
    """The files in *directory*, for *pod* (``namespace/name``) on *node*. Remembers the bytes that NGINX took last."""

    def __init__(
        self, directory: Path, initial: bytes, node: str = "", health_ports: frozenset[int] = frozenset(), pod: str = ""
    ) -> None:
        self._directory = directory
        self._initial = initial
        self._node = node
        self._health_ports = health_ports
        self._pod = pod
        self._good = {name: self._read(name) for name in _MODES}

    def write(self, state: State) -> str:
        """Bring the files to *state* and return the revision that the state document now has.

        Without a configuration a document of before the agent's start is left alone: NGINX serves by it.
        """
        wanted: dict[str, bytes] = {}
        if state.accepted:
            revision = str(state.accepted.revision)
            config = state.accepted.config
            document = nginx_state.render(config, revision, self._node, self._health_ports, self._pod)
            wanted[STATE_FILE] = document.encode()
        elif self._good[STATE_FILE] is None:
            wanted[STATE_FILE] = self._initial
        if state.identity:
            svid = state.identity.svid
            wanted[SVID_FILE] = svid.chain_pem + svid.key_pem
            wanted[BUNDLE_FILE] = state.identity.bundle_pem
        for name, data in wanted.items():
            atomic.write_if_changed(self._directory / name, data, _MODES[name])
        return nginx_state.revision_of((self._read(STATE_FILE) or b"").decode("ascii", "replace"))

    def accept(self) -> None:
        """NGINX took the files as they are."""
        self._good = {name: self._read(name) for name in _MODES}

    def explain(self, reason: str) -> str:
        """Give *reason*, why NGINX refused the files as they are, with the objects that it is about."""
        return blame.name_objects((self._read(STATE_FILE) or b"").decode("ascii", "replace"), reason)

    def restore(self, reason: str) -> None:
        """Put back what NGINX had in place of each file that a line of *reason* begins with."""
        for name, data in self._good.items():
            if not any(line.startswith(name) for line in reason.splitlines()):
                continue
            if data is None:
                (self._directory / name).unlink(missing_ok=True)
            else:
                atomic.write(self._directory / name, data, _MODES[name])

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None
