"""The path that rules judge is the one that NGINX reads, and forwards."""

import pytest

from mesh.decide.path import BadTargetError, normalised_path

pytestmark = pytest.mark.spec("7.path")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", b"/"),
        (b"//admin", b"/admin"),
        (b"/a//b///c", b"/a/b/c"),
        (b"/a/./b/.", b"/a/b/"),
        (b"/a/../b", b"/b"),
        (b"/a/b/..", b"/a/"),
        (b"/a//../b", b"/b"),
        (b"/a/...", b"/a/..."),
        (b"/a/..b/c..", b"/a/..b/c.."),
        (b"/a/%2e%2E/admin", b"/admin"),
        (b"/a/.%2e/admin", b"/admin"),
        (b"/a%2Fb", b"/a/b"),
        (b"/a%2f%2F/b", b"/a/b"),
        (b"/%41%2541", b"/A%41"),
        (b"/%3fa%23b?c#d", b"/?a#b"),
        (b"/%3f/..", b"/"),
        (b"/a?b/../%zz", b"/a"),
        (b"/a#b", b"/a"),
        (b"/a/..?b", b"/"),
        (b"/\\..\\admin", b"/\\..\\admin"),
        (b"/a%5c..", b"/a\\.."),
        (b"/;a=b/c;d", b"/;a=b/c;d"),
        (b"/%c0%af%C0%AE/\xff", b"/\xc0\xaf\xc0\xae/\xff"),
        (b"/%01%7f%20", b"/\x01\x7f "),
        (b"/a+b", b"/a+b"),
        (b"http://host/a/../b?c", b"/b"),
        (b"http://host", b"/"),
        (b"hTTp+x://host.example:80?a/b", b"/"),
        (b"http://[::1]:8080//a", b"/a"),
    ],
)
def test_is_as_nginx_reads_it(target: bytes, path: bytes) -> None:
    assert normalised_path(target) == path


@pytest.mark.parametrize(
    "target",
    [
        b"", b"*", b"a", b"host:80", b"/..", b"/a/../..", b"/%2e%2e", b"/a/%2e./../x", b"//..",
        b"/%00", b"/a%0", b"/%", b"/%g0", b"/%1", b"/a b", b"/\t", b"/\x7f", b"/\0", b"/a?\x01",
        b"http:/a", b"http://", b"http:///a", b"http://a_b/", b"http://host#a", b"http://a..b/", b"http://host:x/",
    ],
)  # fmt: skip
def test_what_is_malformed_is_judged_by_nobody(target: bytes) -> None:
    with pytest.raises(BadTargetError):
        normalised_path(target)
