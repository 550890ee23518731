"""The bill of materials."""

from images import sbom

STATUS = b"""Package: nginx
Status: install ok installed
Version: 1.26.3-3+deb13u10
Architecture: amd64

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all
"""


def test_installed_packages_are_listed_with_their_urls() -> None:
    packages = list(sbom.debian_packages(STATUS.decode()))
    assert [(package["name"], package["versionInfo"]) for package in packages] == [("nginx", "1.26.3-3+deb13u10")]
    assert "pkg:deb/debian/nginx@1.26.3-3+deb13u10?arch=amd64" in str(packages[0]["externalRefs"])


def test_equal_packages_give_equal_documents() -> None:
    """No time and no random name, or the same image would have two bills."""
    packages = list(sbom.debian_packages(STATUS.decode()))
    document = sbom.document("localhost/a:1", packages)
    assert document == sbom.document("localhost/a:1", packages)
    assert document["spdxVersion"] == "SPDX-2.3"
    assert [row["relatedSpdxElement"] for row in document["relationships"]] == [packages[0]["SPDXID"]]  # type: ignore[attr-defined]
