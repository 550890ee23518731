"""The gRPC face of the language host."""

# The names and arguments of the methods are the protocol's.
# ruff: noqa: ARG002, N802

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from embedded.plugins import serving
from embedded.plugins.language import VERSION
from embedded.plugins.language.runtime import Runtime, Unusable

_REPORTED = 32
_GRACE_SECONDS = 5.0
_PROGRAM = Path(__file__).with_name("program.py")


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs for one engine."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def Handshake(self, request: pb.LanguageHandshakeRequest, context: Any) -> pb.LanguageHandshakeResponse:
        self._engine = request.engine_address or self._engine
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def About(self, request: pb.AboutRequest, context: grpc.ServicerContext) -> pb.AboutResponse:
        try:
            runtime = _runtime(request.info)
            return pb.AboutResponse(executable=runtime.python, version=runtime.distributions()[0])
        except Unusable as error:
            _refuse(context, error)

    def GetRequiredPackages(
        self, request: pb.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> pb.GetRequiredPackagesResponse:
        try:
            found = _runtime(request.info).sdks()
        except Unusable as error:
            _refuse(context, error)
        packages = [
            plugin_pb2.PackageDependency(name=sdk.name, kind="resource", version=f"v{sdk.version}", server=sdk.server)
            for sdk in found
        ]
        return pb.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(self, request: Any, context: Any) -> pb.GetRequiredPluginsResponse:
        return pb.GetRequiredPluginsResponse()

    def GetProgramDependencies(
        self, request: pb.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> pb.GetProgramDependenciesResponse:
        try:
            _, found = _runtime(request.info).distributions()
        except Unusable as error:
            _refuse(context, error)
        return pb.GetProgramDependenciesResponse(
            dependencies=[pb.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def InstallDependencies(
        self, request: pb.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.InstallDependenciesResponse]:
        try:
            for line in _runtime(request.info).install():
                yield pb.InstallDependenciesResponse(stdout=line.encode())
        except Unusable as error:
            _refuse(context, error)

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> pb.RuntimeOptionsResponse:
        return pb.RuntimeOptionsResponse()

    def Run(self, request: pb.RunRequest, context: grpc.ServicerContext) -> pb.RunResponse:
        try:
            code = self._run(request)
        except Unusable as error:
            return pb.RunResponse(error=str(error))
        if code == _REPORTED:
            return pb.RunResponse(bail=True)
        return pb.RunResponse(error="" if code == 0 else f"the program ended with exit code {code}")

    def _run(self, request: pb.RunRequest) -> int:
        read_end, write_end = os.pipe()
        try:
            settings = {
                "monitor": request.monitor_address,
                "engine": self._engine,
                "project": request.project,
                "root-directory": request.info.root_directory,
                "stack": request.stack,
                "pwd": request.pwd,
                "dry-run": "true" if request.dryRun else "false",
                "organization": request.organization,
                "parallel": str(request.parallel),
                "lifeline": str(read_end),
            }
            entry = Path(request.info.program_directory) / (request.info.entry_point or ".")
            command = [_runtime(request.info).python, "-u", str(_PROGRAM)]
            command += [f"--{name}={value}" for name, value in settings.items() if value]
            command += [str(entry), *request.args]
            environment = {
                **os.environ,
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            }
            child = subprocess.Popen(
                command, cwd=request.pwd or None, env=environment, stdin=subprocess.DEVNULL, pass_fds=(read_end,)
            )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        with self._lock:
            self._children.add(child)
        try:
            return child.wait()
        finally:
            with self._lock:
                self._children.discard(child)
            os.close(write_end)

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.stop()
        return empty_pb2.Empty()

    def stop(self) -> None:
        """End the programs: asked first, killed when they do not listen."""
        with self._lock:
            children = list(self._children)
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _runtime(info: pb.ProgramInfo) -> Runtime:
    return Runtime(Path(info.root_directory or "."), json_format.MessageToDict(info.options))


def _refuse(context: grpc.ServicerContext, error: Unusable) -> NoReturn:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    raise AssertionError("abort raises")


def main() -> None:
    host = Host(serving.engine_address(sys.argv))
    serving.serve(
        lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server),
        threads=8,
        closing=host.stop,
    )


if __name__ == "__main__":
    main()
