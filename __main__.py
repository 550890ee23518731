"""The Pulumi program: settings in, the mesh out. What it says about itself are the stack's outputs."""

import pulumi

from components.mesh import Mesh
from stacks import cluster, loading, wiring

settings = loading.load()
mesh = Mesh("mesh", wiring.mesh_args(settings, cluster.access()))

pulumi.export("namespace", mesh.namespace)
pulumi.export("trustDomain", settings.mtls.trust_domain)
pulumi.export("webhooks", mesh.webhooks)
pulumi.export("retainedOnDestroy", mesh.retained)
