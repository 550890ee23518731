"""TLS contexts that serve and call with an SVID (contract 3.rotation).

Keys reach OpenSSL through a file in memory that has no name, never through a disk. VERIFY_X509_STRICT, on by default
from Python 3.13, is cleared: it refuses authorities without key identifiers, which customers have. Chain and expiry
are checked as ever. Session tickets are off on servers: a resumed session would outlive the identity it was made for.
"""

import os
import ssl

from mesh.spiffe.workload_api import X509Context


def server_context(
    identity: X509Context,
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    verify_clients: bool = False,
) -> ssl.SSLContext:
    """Context of a server that proves *identity*; with *verify_clients* callers must prove one of our trust domain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED if verify_clients else ssl.CERT_NONE
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return _finish(context, identity, minimum_version)


def client_context(identity: X509Context, minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Context of a client that proves *identity* and checks the server's chain and host name."""
    return _finish(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), identity, minimum_version)


def apply(context: ssl.SSLContext, identity: X509Context) -> None:
    """Give a live *context* a rotated identity: from the next handshake on; running connections stay.

    Raises ssl.SSLError, and changes nothing, when certificate and key do not fit.

    Roots are added and never forgotten, as OpenSSL's store knows no removal: who must forget a revoked root, such as
    a client, makes a new context for each connection.
    """
    # A key that does not fit would leave a live context half changed: a throw-away one takes the risk.
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), identity)
    _load(context, identity)


def _load(context: ssl.SSLContext, identity: X509Context) -> None:
    descriptor = os.memfd_create("svid", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(identity.svid.chain_pem + identity.svid.key_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    if context.verify_mode != ssl.CERT_NONE:
        context.load_verify_locations(cadata=identity.bundle_pem.decode("ascii"))


def _finish(context: ssl.SSLContext, identity: X509Context, minimum_version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = minimum_version
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    apply(context, identity)
    return context
