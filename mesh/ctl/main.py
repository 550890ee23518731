"""The verbs and the options that all of them share. Each verb lives in its own module, which is imported when it is called.

Names and short options are those of nginx-meshctl (contract 10.meshctl); the program is installed under both names.
"""

import importlib
from typing import Final

import click

from mesh.api import names
from mesh.ctl.durations import DURATION
from mesh.ctl.session import Session

# Verb -> what `--help` says, so that the list is printed without importing a verb.
_VERBS: Final = {
    "analyze": "Say what of policies cannot be done as written: in files, or in the cluster.",
    "check": "Check cluster, SPIRE, NATS, controller, webhooks and sidecars; say how to repair what fails.",
    "completion": "Print the shell completion script.",
    "config": "Print the mesh's configuration as JSON.",
    "describe": "Show what the mesh makes of a pod or a Service, and which policies act on it.",
    "inject": "Put the sidecar into the workloads of a manifest.",
    "proxy-status": "Show what every sidecar was sent and serves, and its certificate.",
    "status": "Show the parts of the mesh and its sidecars.",
    "version": "Print the version.",
    "why": "Tell what becomes of a call, and which object decides.",
}


class _LazyGroup(click.Group):
    """A group that imports ``mesh.ctl.<verb>`` when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"mesh.ctl.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_VERBS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-k", "--kubeconfig", default="", help="Path of the kubeconfig; default $KUBECONFIG or ~/.kube/config.")
@click.option("-n", "--namespace", default=names.DEFAULT_NAMESPACE, show_default=True, help="Namespace of the mesh.")
@click.option(
    "-t", "--timeout", type=DURATION, default="5s", show_default=True, help="Limit for one answer of a server."
)
@click.pass_context
def cli(context: click.Context, kubeconfig: str, namespace: str, timeout: float) -> None:
    """Operate an NGINX mesh."""
    context.obj = Session(kubeconfig, namespace, timeout)


def main() -> None:
    """Run meshctl; exit status 0 for success, 1 for a failure that is named, 2 for a wrong command line."""
    cli(prog_name="meshctl")
