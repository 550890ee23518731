"""Words that the fuzzers put into their inputs: what a decoder looks for, and what is hard to come upon by chance."""

_KINDS = (
    "mesh trust_domain mode set incoming identity upstream endpoint request route pod injected policy match header "
    "split split_match share breaker guard headless access target target_source target_match target_tcp "
    "limit limit_source limit_port limit_match end"
)
_VALUES = (
    "off permissive strict client_max_body_size transparent error_log_level log_format server_first_ms json default "
    "http grpc tcp udp health round_robin least_conn least_time random two last_byte inflight idempotent any "
    "all some enforced nodelay 429 503 named everyone debug warn 0 1 65535 65536 4294967295 4294967296 "
    "2147483647 1099511627776 9223372036854775807 18446744073709551616 spiffe://example.org/ns/a/sa/b "
    "a/b ::1 10.0.0.1 fd00::1 %00 %5C"
)
_PATTERNS = (
    r"^ $ \A \Z \b \Q \E \K (?i) (?x) (?: (?= (?<! (?<n> (?&n) (?R) (?1) (*COMMIT) (*SKIP) (*PRUNE) (*ACCEPT) \1 "
    r"\d \pL \x{41} [[:alpha:]] {0} {2,} {,3} *+ ++ *? | (?#c) (?|a|b) \C \R \X (?C1) (*NO_JIT) (*UTF) (*LIMIT_MATCH=1)"
)
_HEADERS = (
    "GET |POST |OPTIONS | HTTP/1.1| HTTP/1.0|Host:|host: |Content-Length: |Transfer-Encoding: chunked|Cookie: |cookie:"
    "|X-Mesh-Peer-Identity: |x-forwarded-client-cert:|http://server/|https://|%2e|%2F|/../|//|Connection: close"
)
_LINE_ENDS = [b"\r\n", b"\n", b"\r\r\n", b" \r\n", b"  \n", b"\r\n\r\n", b"\n\n", b"\r\n ", b"\0"]
_PEM = [
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----BEGIN PRIVATE KEY-----\n",
    b"-----BEGIN EC PRIVATE KEY-----\n",
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    b"-----BEGIN TRUSTED CERTIFICATE-----\n",
    b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n",
]
# Object identifiers of extensions, tags of names, and a URI and a DNS name as they are in a certificate.
_DER = [
    b"\x06\x03\x55\x1d\x11",
    b"\x06\x03\x55\x1d\x13",
    b"\x30\x82",
    b"\x30\x80",
    b"\x30\x84\x7f\xff\xff\xff",
    b"\x86\x10spiffe://a/ns/b/",
    b"\x82\x01a",
    b"\x82\x00",
    b"\x17\x0d260101000000Z",
    b"\x18\x0f99991231235959Z",
]
_HELLO = [
    b"\x16\x03\x01",
    b"\x01\x00",
    b"\x00\x10\x00\x08\x00\x06\x05nsm/1",
    b"\x05nsm/1",
    b"\x02h2",
    b"\x00\x10",
    b"\xff\xff",
    b"\x00\x2b\x00\x03\x02\x03\x04",
    b"\xfe\x0d",
]
WORDS = {
    "state": [*(b"\n" + word + b"\t" for word in _KINDS.encode().split()), *_VALUES.encode().split(), b"\t", b"\t-\t"],
    "match": _PATTERNS.encode().split(),
    "hello": _HELLO,
    "pem": _PEM,
    "certificate": _DER,
    "address": [b"::", b"255", b".", b":", b"ffff", b"::ffff:", b"%eth0", b"0x7f"],
    "request": [*_HEADERS.encode().split(b"|"), *_LINE_ENDS],
    # What a step of the peer is, and what a record begins with.
    "record": [*(bytes([step]) for step in range(8)), b"\x16", b"\x15", b"\x17\x03\x03", b"\x18\x00\x00\x01"],
    "chunked": [
        b"0\r\n\r\n",
        b"1\r\n",
        b"\r\n",
        b"\n",
        b";a=b",
        b" ",
        b"\t",
        b"A: b\r\n",
        b"7fffffffffffffff",
        b"ffff",
    ],
}
