"""What the fuzzers of the C module begin with: real documents, certificates and hellos, the same bytes every time."""

import datetime as dt
import struct

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from mesh.api.mesh_config import LbMethod
from mesh.spiffe.certificate import pem
from tests.nginx.documents import Document, Match, To

ID = "spiffe://example.org/ns/shop/sa/server"
_DAY = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


def documents() -> list[bytes]:
    """Of every kind of line at least one."""
    settings = {
        "client_max_body_size": 1 << 20,
        "transparent": 0,
        "error_log_level": "warn",
        "log_format": "json",
        "server_first_ms": 50,
    }
    full = Document(settings=dict(settings), incoming={8080: "http", 9090: "grpc", 5432: "tcp", 53: "udp"})
    for number, method in enumerate(LbMethod):
        endpoints = [To(f"10.0.{number}.{host}", 8080, ID if host % 2 else "", "shop/server-0") for host in range(3)]
        full.service(f"shop/server-{number}", f"10.96.0.{number}", 80, endpoints, lb=method)
    full.split(
        0, "shop/ab", [(1, 1)], [Match("^/a", "GET,PUT", (("x-version", "2"), ("x-any", "-"))), Match("%5C.js$")]
    )
    full.split(0, "shop/weights", [(0, 90), (2, 10), (3, 0)]).split(2, "shop/nested", [(3, 4_000)])
    full.breaker([0], "shop/breaker", 3, 30_000, 4).breaker([2, 3], "shop/other", 1000, 1)
    full.headless("10.0.0.1", 8080, 0)
    rules = [Match("^/shop%5C.x", "GET,HEAD", (("x-tenant", "^(a|b)$"), ("x-any", "-"))), Match("^/b")]
    full.enforce_access().target("shop/a", [ID, f"{ID}-2"], 8080, rules, tcp=True).target("shop/b", [ID])
    full.pod(To("10.0.0.1", 8080, ID, "shop/server-0")).pod(To("fd00::1", 9090, f"{ID}-2"), "grpc")
    rest = Document(mode="permissive", revision="-").service("a/b", "fd00:10::1", 443, [], protocol="tcp").render()
    lines = "request\t0\t500\t2\tidempotent\ninjected\t10.0.0.7\nunknown\tline\n"
    more = rest.replace("end\t5", f"{lines}end\t8")
    return [
        full.render().encode(),
        Document(mode="off").render().encode(),
        rest.encode(),
        more.encode(),
        _policies().render().encode(),
    ]


def _policies() -> Document:
    rule = Match("^/a(b|%5C.)%2A$", "GET,POST", (("x-plan", "^free$"), ("x-any", "-")))
    document = Document(incoming={8080: "http"})
    for number in range(3):
        document.service(f"shop/server-{number}", f"10.96.0.{number}", 80, [To(f"10.0.{number}.1", 8080, ID)])
    document.split(0, "shop/first", [(1, 90), (0, 10)], [rule]).split(0, "shop/second", [(2, 1)])
    document.breaker([0, 1], "shop/breaker", 3, 5000, fallback=2)
    document.pod(To("10.0.0.1", 8080, ID)).headless("10.0.0.1", 8080, 0)
    document.enforce_access().target("shop/all", [ID, f"{ID}-2"]).target("shop/some", [ID], 8080, [rule], tcp=True)
    document.limit("shop/named", 33_333, 2, "nodelay", 429, [["shop/a-0", "shop/a-1"], ["shop/b-0"]], [8080], [rule])
    return document.limit("shop/rest", 1_000_000, 5, 3)


def certificate(*uris: str, serial: int = 0x7B3F01) -> tuple[bytes, bytes]:
    """A certificate with these URI names and its key, in DER."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SPIRE")])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    names.append(x509.DNSName("server.shop.svc"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(_DAY)
        .not_valid_after(_DAY + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, None)
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.DER), secret


def certificates() -> list[bytes]:
    """With one URI name, two, none, and one that is too long."""
    return [certificate(*uris)[0] for uris in ((ID,), (ID, f"{ID}-2"), (), (f"spiffe://example.org/{'a' * 2100}",))]


def pems() -> list[bytes]:
    """An SVID, one with an intermediate and its key first, one of a long serial, a bundle, halves, and an encrypted one."""
    leaf, key = (pem(label, der) for label, der in zip(("CERTIFICATE", "PRIVATE KEY"), certificate(ID), strict=True))
    long = pem("CERTIFICATE", certificate(ID, serial=(1 << 158) + 5)[0])
    cipher = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n"
    locked = leaf.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\n" + cipher, 1)
    return [leaf + key, key + leaf + leaf, long + key, leaf + leaf, leaf, key, locked + key]


def hello(*protocols: bytes) -> bytes:
    """A ClientHello with server name, groups and ALPN (RFC 8446, 4.1.2)."""
    alpn = b"".join(bytes([len(protocol)]) + protocol for protocol in protocols)
    names = b"\0" + struct.pack("!H", 6) + b"server"
    extensions = b"".join(
        struct.pack("!HH", kind, len(content)) + content
        for kind, content in (
            (0, struct.pack("!H", len(names)) + names),
            (10, struct.pack("!HHH", 4, 0x1D, 0x17)),
            (16, struct.pack("!H", len(alpn)) + alpn),
            (43, b"\x02\x03\x04"),
        )
    )
    body = b"\x03\x03" + bytes(range(32)) + b"\x20" + bytes(32) + struct.pack("!HHH", 4, 0x1301, 0x1302) + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message


def hellos() -> list[bytes]:
    """TLS of ours, of others, cut short, and other protocols."""
    ours = hello(b"nsm/1", b"http/1.1")
    return [
        ours,
        hello(b"h2", b"http/1.1"),
        hello(b"nsm/1"),
        ours[:40],
        ours + ours,
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03",
    ]


def addresses() -> list[bytes]:
    """Of both families, short and long forms."""
    texts = ("10.0.0.1", "255.255.255.255", "::", "::1", "fd00:10::1:2", "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8", "10.1")
    return [text.encode() for text in texts]


def matches() -> list[bytes]:
    """Patterns of routes with texts that fit and do not, searches that are given up, and patterns that are none."""
    return [
        b"^/shop/[0-9]+$\n/shop/42",
        b"^/a\\.b*\n/a.bb",
        b"(?i)(red|blue),\\s+x\nred,  x",
        b"^(a+)+$\n" + b"a" * 200 + b"!",
        b"(?:(?=a)b|\\Qa.b\\E|[[:alpha:]]{2,})\nxa.b",
        b"^/ab{0,2}\n/a",
        b"(?<name>x)(?&name)(*COMMIT)y|\\Kz\nxxy",
        b"[\n[",
        b"(*UTF)x\nx",
    ]


def requests() -> list[bytes]:
    """How many bytes come first, and the head of a request: as it should be, as nginx takes it, and as nobody should."""
    usual = b"GET /shop?a=b HTTP/1.1\r\nHost: server\r\nCookie: a=1\r\nX-Tenant: red\r\ncookie: b=2\r\n\r\n"
    bare = b"GET / HTTP/1.1\r\nHost: server\nA: b\r\n\r\n"
    absolute = b"GET http://server:80/%2e/x HTTP/1.1\r\nHost: server:80\r\n\r\n"
    blanks = b"POST //a/../b HTTP/1.0\r\nHost:server  \r\nA:   \r\nB\r\n: c\r\nA: d  \nC_D: e \n\r\n"
    many = b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: %d\r\n" % (n, n) for n in range(101)) + b"\r\n"
    ours = b"GET / HTTP/1.1\r\nX-Mesh-Peer-Identity: me\r\nX-Forwarded-Client-Cert: me\r\n\r\n"
    heads = (usual, bare, absolute, blanks, many, ours)
    return [b"\0" + head for head in heads] + [bytes([bare.index(b"A: b")]) + bare, b"\x30" + usual]


def records() -> list[bytes]:
    """What the peer of a record layer does: honest records, new keys, records of any kind, changed bits, other bytes."""
    data = b"".join(bytes([0]) + size.to_bytes(2, "big") + bytes([size % 251]) for size in (1, 0, 100, 16384, 16383, 5))
    update, answer = bytes([1, 1]), bytes([5])
    closing = bytes([2, 2, 21, 0, 1, 0])
    ticket = bytes([2, 9, 22, 0, 4, 0, 0, 5, 1, 2, 3, 4, 5])
    halves = bytes([2, 3, 22, 0, 24, 0, 0]) + bytes([2, 2, 22, 7, 1, 1])
    return [
        bytes([1, 255]) + data + update + data + answer + data + closing,
        bytes([0, 3]) + data + ticket + data,
        bytes([5, 60]) + data + data + bytes([3, 0, 40, 1]) + data,
        bytes([7, 1]) + halves + data,
        bytes([2, 170]) + data + bytes([4, 20, 23, 3, 3, 0, 17]) + bytes(17) + data,
        bytes([1, 0]) + bytes([0, 0, 0, 1]) * 40,
    ]


def chunks() -> list[bytes]:
    """How many bytes come with the header, how many by each read, and a body: as it should be, and as another server may see it."""
    plain = b"5\r\nhello\r\n0\r\n\r\n"
    long = b'1a;a=b;c="d"\r\n' + bytes(range(26)) + b"\r\n00\r\nA: b\r\nC:\r\n\r\nGET / HTTP/1.1\r\n"
    bare = b"2\nab\r\n0\n\n"
    odd = b"F \r\n0123456789abcde\r\n0;\r\n A: b\r\n\r\n"
    huge = b"7fffffffffffffff\r\nab"
    return [bytes(cut) + body for cut in ((0, 1), (255, 0), (7, 3)) for body in (plain, long, bare, odd, huge)]


SEEDS = {
    "state": documents,
    "match": matches,
    "hello": hellos,
    "pem": pems,
    "certificate": certificates,
    "address": addresses,
    "request": requests,
    "record": records,
    "chunked": chunks,
}
