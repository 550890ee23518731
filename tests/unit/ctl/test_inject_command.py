"""`meshctl inject` as it is called: files, standard input, URLs, and what it does when a document is wrong (contract 5.manual)."""

import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.ctl import inject

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = ROOT / "tests" / "unit" / "ctl" / "manifests" / "shop.yaml"
SETTINGS = {
    "namespace": "nginx-mesh",
    "mtls": {"trustDomain": "example.org", "mode": "permissive"},
    "nginxErrorLogLevel": "warn",
    "registry": {"imagePullPolicy": "Never", "sidecarImage": "s:1", "sidecarInitImage": "i:1"},
}


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "meshconfig.json"
    path.write_text(json.dumps(SETTINGS))
    return path


def meshctl(
    configuration: Path, *arguments: str, given: bytes = b"", variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mesh.ctl", "inject", "--config-file", str(configuration), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})}
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, env=environment)


def half(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Promise the whole manifest and end after its first document."""
    first, _, _ = MANIFEST.read_bytes().partition(b"\n---\n")
    handler.send_response(200)
    handler.send_header("Content-Length", str(MANIFEST.stat().st_size))
    handler.end_headers()
    handler.wfile.write(first)


def half_in_chunks(handler: http.server.BaseHTTPRequestHandler) -> None:
    """The same, without a length to compare with: the last chunk is missing."""
    first, _, _ = MANIFEST.read_bytes().partition(b"\n---\n")
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(first), first))


def redirect(location: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """Answer that the manifest is elsewhere."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def never(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Take the request and say nothing until the caller has gone."""
    handler.rfile.read(1)


def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    """A byte at a time, for ever."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"#")


ODD: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {
    "/half": half,
    "/half-in-chunks": half_in_chunks,
    "/elsewhere": redirect("/shop.yaml"),
    "/circle": redirect("/circle"),
    "/ftp": redirect("ftp://127.0.0.1/shop.yaml"),
    "/file": redirect("file:///etc/hostname"),
    "/never": never,
    "/drip": drip,
}


class Server:
    """Serves the files of one directory; ``scheme`` is https with a certificate that ``roots`` verifies."""

    def __init__(self, directory: Path, roots: Path | None) -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(directory))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                """Files, and under /ODD what servers do at their worst."""
                behaviour = ODD.get(self.path.partition("?")[0])
                if behaviour is None:
                    super().do_GET()
                else:
                    behaviour(self)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "https" if roots else "http"
        self.variables = {"SSL_CERT_FILE": str(roots)} if roots else {}
        if roots:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate(roots))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def url(self, name: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}/{name}"


def certificate(roots: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself to *roots*, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "manifests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    roots.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    place = roots.with_suffix(".key")
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    place.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return roots, place


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "served"
    directory.mkdir()
    (directory / "shop.yaml").write_bytes(MANIFEST.read_bytes())
    (directory / "latin.yaml").write_bytes("kind: Pod # für".encode("latin-1"))
    found = Server(directory, tmp_path / "roots.pem" if request.param == "https" else None)
    found.thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.thread.join()
        found.server.server_close()


@pytest.mark.spec("5.manual")
def test_the_same_manifest_gives_the_same_bytes_from_everywhere(configuration: Path, server: Server) -> None:
    """A file, standard input, a URL; once, and once more."""
    results = [
        meshctl(configuration, "-f", str(MANIFEST)),
        meshctl(configuration, given=MANIFEST.read_bytes()),
        meshctl(configuration, "-f", "-", given=MANIFEST.read_bytes()),
        meshctl(configuration, "-f", server.url("shop.yaml"), variables=server.variables),
        meshctl(configuration, "-f", server.url("elsewhere"), variables=server.variables),
    ]
    assert [result.returncode for result in results] == [0] * 5, results
    [output] = {result.stdout for result in results}
    assert output.count(b"name: nginx-mesh-sidecar\n") == 2
    again = meshctl(configuration, given=output)
    assert (again.returncode, again.stdout) == (0, output)


@pytest.mark.spec("5.manual")
def test_an_address_that_gives_nothing_is_named(configuration: Path, server: Server) -> None:
    """Not found, text of another encoding, one that ends too early, one that leads elsewhere: address, reason, no output."""
    for name, reason in (
        ("none.yaml", b"404"),
        ("latin.yaml", b"utf-8"),
        ("half", b"bytes before its end"),
        ("half-in-chunks", b"IncompleteRead"),
        ("circle", b"infinite loop"),
        ("ftp", b"to ftp is not followed"),
        ("file", b"not allowed"),
    ):
        result = meshctl(configuration, "-f", server.url(name), variables=server.variables)
        assert (result.returncode, result.stdout) == (1, b"")
        assert server.url(name).encode() in result.stderr
        assert reason in result.stderr, result.stderr
        assert b"Traceback" not in result.stderr


@pytest.mark.spec("5.manual")
@pytest.mark.parametrize("server", ["http"], indirect=True)
def test_a_server_that_comes_to_no_end_is_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing, one that says little for ever, one that says too much."""
    with pytest.raises(click.ClickException, match="timed out"):
        inject.fetch(server.url("never"), 0.2)
    with pytest.raises(click.ClickException, match=r"not whole within 0\.2 s"):
        inject.fetch(server.url("drip"), 30, 0.2)
    monkeypatch.setattr(inject, "MAX_BYTES", 100)
    with pytest.raises(click.ClickException, match="longer than 100 bytes"):
        inject.fetch(server.url("drip"), 30)


@pytest.mark.spec("5.manual")
def test_the_way_never_leads_from_a_verified_server_to_another(
    tmp_path: Path, configuration: Path, server: Server
) -> None:
    """A redirection from https to http is not followed; from http to http it is."""
    if server.scheme == "https":
        plain = Server(tmp_path / "served", None)
        ODD["/downgrade"] = redirect(plain.url("shop.yaml"))
        plain.server.server_close()
        result = meshctl(configuration, "-f", server.url("downgrade"), variables=server.variables)
        assert (result.returncode, result.stdout) == (1, b"")
        assert b"from https to http is not followed" in result.stderr, result.stderr


@pytest.mark.spec("5.manual")
def test_a_server_that_nothing_vouches_for_is_not_believed(configuration: Path, server: Server) -> None:
    """An https address whose certificate no root verifies gives no manifest."""
    if server.scheme == "https":
        result = meshctl(configuration, "-f", server.url("shop.yaml"))
        assert (result.returncode, result.stdout) == (1, b"")
        assert b"certificate" in result.stderr


@pytest.mark.spec("5.manual", "5.refused")
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"kind: Pod\nspec: [\n", b"document 2, line 12"),
        (b"kind: Pod\nmetadata: {name: p}\nspec: 5\n", b"Pod/p: spec"),
        (b"kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, ports: [{containerPort: x}]}]}\n", b"Pod/p"),
        (b"kind: Pod\nmetadata: {name: p}\nspec: {containers: 7}\n", b"Pod/p: spec.containers: got 7, takes a list"),
    ],
)
def test_one_broken_document_of_three(configuration: Path, broken: bytes, reason: bytes) -> None:
    """Exit status 1, the document named, and nothing written of the two good ones."""
    good = b"kind: Pod\nmetadata: {name: good}\nspec:\n  containers:\n  - {name: a, image: a}\n"
    lines = b"# first\n" + good + b"---\n# second\n\n" + broken + b"---\n" + good
    result = meshctl(configuration, given=lines)
    assert (result.returncode, result.stdout) == (1, b"")
    assert reason in result.stderr, result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.spec("5.kinds")
def test_line_endings_stay(configuration: Path) -> None:
    """A file of another system keeps its line endings, in documents that pass and in those that are injected."""
    passed = b"\xef\xbb\xbfkind: ConfigMap\r\ndata: {a: b}\r\n"
    result = meshctl(configuration, given=passed)
    assert result.stdout == passed.removeprefix(b"\xef\xbb\xbf")
    injected = b"kind: Service # it\r\n---\r\nkind: Pod # one\r\nspec:\r\n  containers:\r\n  - name: a # two\r\n"
    result = meshctl(configuration, given=injected)
    assert (result.returncode, result.stdout.count(b"\r\n")) == (0, result.stdout.count(b"\n")), result.stderr
    assert b"kind: Service # it\r\n---\r\nkind: Pod # one\r\n" in result.stdout
    assert b"- name: a # two\r\n" in result.stdout
