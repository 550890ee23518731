"""`make up`: from a clean clone to a running mesh with a sample, resumable at every point.

    python -m embedded.up [--cluster NAME] [--nodes N] [--context CONTEXT --registry REGISTRY --tag TAG]

Tools and the images that need none of them are made side by side; then the cluster starts while the other images are
made; then Pulumi, the sample, and `meshctl check`. With --context, a cluster that exists already is used in place of the
embedded one, with the official images of others, and with the mesh's own from the registry that it pulls from.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from embedded import stack, steps
from embedded.steps import StepError, python, say
from embedded.tools import ensure, lock, paths
from embedded.tools.environment import environment
from embedded.tools.lock import DebianPackage
from embedded.tools.progress import Board
from images import catalogue

SAMPLE = "mesh-sample"


@dataclass(frozen=True, slots=True)
class Registry:
    """Where a cluster that exists already pulls the mesh's own images from."""

    server: str
    tag: str

    def settings(self) -> list[str]:
        """The stack's settings as ``key=value``, values in JSON."""
        return [f"registry.server={json.dumps(self.server)}", f"registry.imageTag={json.dumps(self.tag)}"]

    def sample(self) -> str:
        """The reference of the sample's image."""
        return f"{self.server}/{SAMPLE}:{self.tag}"


async def up_embedded(cluster: str, nodes: int) -> None:
    """Do it all, cluster included. Raises StepError or ToolError."""
    await prepare()
    given = ["--images", str(await start(cluster, nodes))]
    await finish(cluster, given, [])


async def up_context(cluster: str, context: str, registry: Registry) -> None:
    """Do it on the cluster of *context*. Raises StepError or ToolError."""
    if not registry.server:
        raise StepError(
            "registry: got nothing, takes the registry and path that hold the mesh's images; say REGISTRY=... TAG=... "
            "(docs/operations/install.md tells how to fill it)"
        )
    await make_tools(["pulumi", "kubectl"], Board(sys.stdout))
    await use_context(cluster, context)
    given = [f"--set={setting}" for setting in registry.settings()]
    await finish(cluster, given, ["--image", registry.sample()])


async def finish(cluster: str, settings: list[str], sample: list[str]) -> None:
    """Pulumi, the sample, the check. *settings* are arguments of stacks.prepare, *sample* of samples.run."""
    variables = environment(cluster)
    await stack.up(cluster, variables, settings)
    await steps.run("sample", python("-m", "samples.run", *sample), variables)
    await steps.run("meshctl check", ["meshctl", "check"], variables)
    say(next_commands(cluster))


async def prepare() -> None:
    """Every tool, and at the same time the images that hold none of them."""
    board = Board(sys.stdout)
    say("== tools and base images")
    packages = [tool.name for tool in lock.load().tools.values() if isinstance(tool.origin, DebianPackage)]
    await make_tools(packages, board)
    early = [f"--only={image.name}" for image in catalogue.IMAGES if not image.tools]
    async with asyncio.TaskGroup() as group:
        group.create_task(make_tools([], board))
        group.create_task(steps.read(python("-m", "images.build", *early), say=board.say))


async def make_tools(names: list[str], board: Board) -> None:
    """Make the tools *names* ready, or all."""
    await ensure.ensure(lock.load().select(names), paths.store(), board)


async def start(cluster: str, nodes: int) -> Path:
    """Start the embedded cluster, build what images are missing, load all of them; return the file of references."""
    async with asyncio.TaskGroup() as group:
        references = group.create_task(steps.read(python("-m", "images.build")))
        group.create_task(
            steps.run("cluster", python("-m", "embedded.cluster", "start", cluster, "--nodes", str(nodes)))
        )
    archives = json.loads(await steps.read(python("-m", "images.build", "--archives")))
    await steps.run("images", python("-m", "embedded.cluster", "load-image", cluster, *archives.values()))
    file = paths.state_root(cluster) / "images.json"
    file.write_text(references.result())
    return file


async def use_context(cluster: str, context: str) -> None:
    """Copy the kubeconfig of *context* to the cluster's state, so that every later command uses the same one."""
    state = paths.state_root(cluster)
    if (state / "cluster.json").exists():
        raise StepError(f"{cluster} is the name of an embedded cluster: choose another one with CLUSTER=...")
    kubectl = str(paths.path_of("kubectl"))
    view = [kubectl, "config", "view", "--raw", "--minify", "--flatten", f"--context={context}"]
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    kubeconfig = state / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(await steps.read(view))


def next_commands(cluster: str) -> str:
    """What to type now."""
    name = "" if cluster == "dev" else f" CLUSTER={cluster}"
    return f"""
The mesh runs. Try:

    eval "$(make -s env{name})"
    meshctl status
    kubectl get pods --all-namespaces
    pulumi preview --stack {cluster}
    make down{name}
"""


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="embedded.up", description="Bring up a mesh on this machine.")
    parser.add_argument("--cluster", default="dev", help="name of the cluster and of its stack")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--context", default="", help="a kubeconfig context to use instead of an embedded cluster")
    parser.add_argument("--registry", default="", help="registry and path of the mesh's images, with --context")
    parser.add_argument("--tag", default="latest", help="tag of the mesh's images, with --context")
    given = parser.parse_args()
    if given.context:
        work = up_context(given.cluster, given.context, Registry(given.registry, given.tag))
    else:
        work = up_embedded(given.cluster, given.nodes)
    return steps.main(work, "make up")


if __name__ == "__main__":
    sys.exit(main())
