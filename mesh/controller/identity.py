"""The controller's own SVID: where it comes from, what serves with it, whether it is fit to serve (design 6)."""

import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from mesh.spiffe import tls, workload_api
from mesh.spiffe.workload_api import X509Context

log = logging.getLogger(__name__)


class Identity:
    """Holds the newest SVID and hands it to whoever serves or calls with it; ``on_change`` hears of each new one."""

    def __init__(self, socket: str, host: str, on_change: Callable[[], None]) -> None:
        self._socket = socket
        self._host = host
        self._on_change = on_change
        self._serving: ssl.SSLContext | None = None
        self.current: X509Context | None = None

    async def follow(self) -> None:
        """Take every SVID that the Workload API gives, for ever."""
        async for context in workload_api.watch_x509(self._socket):
            self.current = context
            if self._serving is not None:
                tls.apply(self._serving, context)
            log.info(
                "svid",
                extra={
                    "spiffe_id": context.svid.spiffe_id,
                    "not_after": context.svid.not_after.isoformat(),
                    "dns_names": ",".join(context.svid.dns_names),
                },
            )
            self._on_change()

    def missing(self) -> str:
        """Say what keeps this from being a server that API servers trust; empty when nothing does."""
        if self.current is None:
            return "no SVID from the SPIRE agent yet"
        if self.current.svid.not_after <= datetime.now(UTC):
            return f"the SVID expired at {self.current.svid.not_after.isoformat()}"
        if self._host not in self.current.svid.dns_names:
            return f"the SVID does not name {self._host}"
        return ""

    def server_context(self) -> ssl.SSLContext:
        """The context that the webhooks serve with; later SVIDs reach it by themselves. Needs a first SVID."""
        if self._serving is None:
            # API servers offer TLS 1.2 as well, and older ones nothing newer.
            self._serving = tls.server_context(self._current(), ssl.TLSVersion.TLSv1_2)
        return self._serving

    def client_context(self) -> ssl.SSLContext:
        """A fresh context for one connection to the bus, with the SVID of the moment."""
        return tls.client_context(self._current())

    def _current(self) -> X509Context:
        if self.current is None:
            raise RuntimeError("no SVID yet")
        return self.current
