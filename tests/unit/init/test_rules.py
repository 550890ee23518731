"""The text that iptables-restore gets (contract 5.redirect)."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.init import iptables, main, rules

GOLDEN = """\
*mangle
:MESH_INVALID - [0:0]
-A MESH_INVALID -m conntrack --ctstate INVALID -j DROP
-A PREROUTING -p tcp -j MESH_INVALID
COMMIT
*nat
:MESH_OUTGOING - [0:0]
:MESH_INCOMING - [0:0]
-A MESH_OUTGOING -m owner --uid-owner 2102 -j RETURN
-A MESH_OUTGOING -o lo -j RETURN
-A MESH_OUTGOING -p tcp -m tcp --dport 53 -j RETURN
-A MESH_OUTGOING -p tcp -m tcp --dport 8887 -j RETURN
-A MESH_OUTGOING -p tcp -m tcp --dport 5432 -j RETURN
-A MESH_OUTGOING -p tcp -j REDIRECT --to-ports 8900
-A MESH_INCOMING -p tcp -m tcp --dport 53 -j RETURN
-A MESH_INCOMING -p tcp -m tcp --dport 8887 -j RETURN
-A MESH_INCOMING -p tcp -m tcp --dport 8895 -j RETURN
-A MESH_INCOMING -p tcp -m tcp --dport 8896 -j RETURN
-A MESH_INCOMING -p tcp -m tcp --dport 22 -j RETURN
-A MESH_INCOMING -p tcp -j REDIRECT --to-ports 8901
-A OUTPUT -p tcp -j MESH_OUTGOING
-A PREROUTING -p tcp -j MESH_INCOMING
COMMIT
"""


@pytest.mark.spec("5.redirect")
def test_golden() -> None:
    """Every rule of a pod that ignores one port each way."""
    assert rules.render(rules.Redirection((22,), (5432,))) == GOLDEN


def test_jumps_that_are_there_are_not_made_again() -> None:
    """The second run writes the chains anew and adds no jump."""
    first = rules.render(rules.Redirection())
    second = rules.render(rules.Redirection(), first.splitlines())
    assert [line for line in first.splitlines() if line not in second.splitlines()] == [
        "-A PREROUTING -p tcp -j MESH_INVALID",
        "-A OUTPUT -p tcp -j MESH_OUTGOING",
        "-A PREROUTING -p tcp -j MESH_INCOMING",
    ]


@given(st.sets(st.integers(1, 65535), max_size=20))
def test_the_redirecting_rule_is_last(ports: set[int]) -> None:
    """What is left alone is decided before the redirection, whatever the ports are."""
    lines = rules.render(rules.Redirection(tuple(ports), tuple(ports))).splitlines()
    for chain in (rules.CHAIN_INCOMING, rules.CHAIN_OUTGOING):
        of_chain = [line for line in lines if line.startswith(f"-A {chain} ")]
        assert "REDIRECT" in of_chain[-1]
        assert sum("REDIRECT" in line for line in of_chain) == 1
        assert all(any(line.endswith(f"--dport {port} -j RETURN") for line in of_chain) for port in ports)


@pytest.mark.parametrize(
    ("text", "ports"), [("", ()), (" ", ()), ("80", (80,)), ("443, 80,80", (80, 443)), ("65535", (65535,))]
)
def test_ports(text: str, ports: tuple[int, ...]) -> None:
    """Lists as the injector writes them, blanks taken."""
    assert main.ports(text) == ports


@pytest.mark.parametrize("text", ["0", "65536", "80,,81", "1e3", "٨٠", "-1", "80;81"])
def test_bad_ports_are_named(text: str) -> None:
    """Nothing that is no port gets into a rule."""
    with pytest.raises(argparse.ArgumentTypeError, match="takes ports"):
        main.ports(text)


@pytest.mark.parametrize(
    ("table", "scope"),
    [
        ("", ""),
        ("00000000000000000000000000000001 01 80 10 80       lo\n", ""),
        ("fe80000000000000c8da4efffedf6350 1a 40 20 80 eth0\n", "link"),
        (
            "fe800000000000000000000000000001 02 40 20 80 eth0\nfd000000000000000000000000000002 02 40 00 82 eth0\n",
            "global",
        ),
    ],
)
def test_ipv6_of_a_pod(table: str, scope: str) -> None:
    """Loopback alone is no IPv6; a link-local address is some, as neighbours can call it."""
    assert main.ipv6_scope(table) == scope


def test_the_legacy_variant_is_tried_second() -> None:
    """A kernel without nf_tables: nft fails, legacy takes the rules."""
    commands = []

    def run(command: list[str], text: str) -> iptables.Result:
        commands.append(command)
        works = "legacy" in command[0]
        return iptables.Result(0 if works else 3, "", "" if works else f"no nf_tables for {len(text)} bytes")

    assert iptables.install(iptables.IPV4, rules.Redirection(), run) == "legacy"
    assert [command[0] for command in commands if "restore" in command[0]] == [
        "iptables-nft-restore",
        "iptables-legacy-restore",
    ]


def test_failure_names_both_reasons_and_the_remedy() -> None:
    """Whoever reads the pod's log knows what to do."""

    def run(command: list[str], _text: str) -> iptables.Result:
        return iptables.Result(4, "", f"{command[0]} says no")

    with pytest.raises(iptables.RedirectionError) as caught:
        iptables.install(iptables.IPV6, rules.Redirection(), run)
    for part in (
        "ip6tables-nft-restore says no",
        "ip6tables-legacy-restore says no",
        "NET_ADMIN",
        "xt_owner",
        "disable_ipv6",
    ):
        assert part in str(caught.value)
