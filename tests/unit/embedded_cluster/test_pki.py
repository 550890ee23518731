"""Certificates of a cluster: right names, used again, renewed in time."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from embedded.cluster import addresses, kubeconfig, pki

PLAN = addresses.Plan("dev", addresses.Slot(3), 2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _read(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_every_certificate_is_signed_by_its_authority_and_carries_key_identifiers(tmp_path: Path) -> None:
    """Python 3.13's VERIFY_X509_STRICT refuses chains without them."""
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    for leaf in pki.leaves(PLAN):
        certificate, authority = _read(tmp_path, leaf.name), _read(tmp_path, leaf.authority)
        certificate.verify_directly_issued_by(authority)
        subject_key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority_key = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert authority_key.key_identifier == subject_key.digest
        assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_api_server_is_named_by_address_and_service(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    names = _read(tmp_path, "kube-apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert found == {"198.18.96.2", "198.18.104.1", "127.0.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_a_client_certificate_cannot_serve(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    usage = _read(tmp_path, "admin").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_what_is_good_is_used_again(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    before = _contents(tmp_path)
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW + timedelta(days=300))
    assert _contents(tmp_path) == before


def test_leaves_are_renewed_before_they_end_and_the_authority_stays(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    before = _contents(tmp_path)
    later = NOW + pki.LEAF_LIFE - pki.RENEW_BEFORE + timedelta(days=1)
    pki.ensure(tmp_path, pki.leaves(PLAN), later)
    after = _contents(tmp_path)
    assert after["ca.crt"] == before["ca.crt"]
    assert after["service-account.key"] == before["service-account.key"]
    assert all(after[f"{leaf.name}.crt"] != before[f"{leaf.name}.crt"] for leaf in pki.leaves(PLAN))
    assert _read(tmp_path, "admin").not_valid_after_utc == later + pki.LEAF_LIFE


def test_another_slot_gets_certificates_for_its_addresses(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    before = _contents(tmp_path)
    pki.ensure(tmp_path, pki.leaves(addresses.Plan("dev", addresses.Slot(4), 2)), NOW)
    after = _contents(tmp_path)
    assert after["kube-apiserver.crt"] != before["kube-apiserver.crt"]
    assert after["kubelet-2.crt"] != before["kubelet-2.crt"]
    assert after["admin.crt"] == before["admin.crt"]


def test_damaged_or_foreign_files_are_replaced(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    (tmp_path / "admin.key").write_bytes((tmp_path / "kube-proxy.key").read_bytes())
    (tmp_path / "kube-scheduler.crt").write_text("damaged")
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    for name in ("admin", "kube-scheduler"):
        assert pki._load(tmp_path, name) is not None


def test_a_new_authority_renews_what_the_old_one_signed(tmp_path: Path) -> None:
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    (tmp_path / "ca.crt").unlink()
    pki.ensure(tmp_path, pki.leaves(PLAN), NOW)
    _read(tmp_path, "admin").verify_directly_issued_by(_read(tmp_path, "ca"))


def test_only_root_reads_keys_and_kubeconfigs(tmp_path: Path) -> None:
    pki.ensure(tmp_path / "pki", pki.leaves(PLAN), NOW)
    kubeconfig.write(tmp_path / "kubeconfig", "dev", PLAN.api_url, tmp_path / "pki", "admin")
    for path in (*(tmp_path / "pki").iterdir(), tmp_path / "kubeconfig"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
