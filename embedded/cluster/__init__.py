"""A real Kubernetes of one or more nodes inside network namespaces of this machine (contract 10.embedded).

It is for development and tests: API server, etcd, scheduler, controller manager, containerd, kubelet and kube-proxy are
the real programs, and everything they touch can be thrown away. Nothing here knows of meshes.
"""
