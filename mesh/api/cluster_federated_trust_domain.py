"""ClusterFederatedTrustDomain: a foreign trust domain. The SPIRE Controller Manager watches it; the mesh makes none."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class BundleEndpointProfile:
    """How the foreign bundle endpoint proves who it is."""

    type: str = member("Profile of the endpoint.", choices=("https_spiffe", "https_web"))
    endpoint_spiffe_id: str | None = member(
        "SPIFFE ID of the endpoint, for https_spiffe.", name="endpointSPIFFEID", default=None
    )


@dataclass(frozen=True, slots=True)
class ClusterFederatedTrustDomainSpec:
    """Where the bundle of the trust domain is found."""

    trust_domain: str = member("Name of the trust domain.", pattern="^[a-z0-9._-]{1,255}$")
    bundle_endpoint_url: str = member("HTTPS address of the bundle endpoint.", name="bundleEndpointURL")
    bundle_endpoint_profile: BundleEndpointProfile = member("How the endpoint proves who it is.")
    trust_domain_bundle: str | None = member("The bundle to begin with.", default=None)
    class_name: str | None = member("Class of the Controller Manager that obeys this.", default=None)


@dataclass(frozen=True, slots=True)
class ClusterFederatedTrustDomainStatus:
    """Empty by contract."""


CLUSTER_FEDERATED_TRUST_DOMAIN = crd.Kind(
    group=names.GROUP_SPIRE,
    kind="ClusterFederatedTrustDomain",
    plural="clusterfederatedtrustdomains",
    scope="Cluster",
    description="A foreign trust domain.",
    versions=(
        crd.Version(
            "v1alpha1",
            ClusterFederatedTrustDomainSpec,
            ClusterFederatedTrustDomainStatus,
            spec_required=False,
            columns=(
                ("Trust Domain", "string", ".spec.trustDomain"),
                ("Endpoint URL", "string", ".spec.bundleEndpointURL"),
            ),
        ),
    ),
)
