"""The gRPC face of the provider: unpacks requests, calls create, update, read and delete, packs what they return."""

# The names and arguments of the methods are the protocol's.
# ruff: noqa: ARG002, N802

import json
import os
import threading
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from embedded.plugins.kubernetes import (
    VERSION,
    check,
    configuration,
    delete,
    differences,
    invoke,
    options,
    read,
    state,
    write,
)
from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import ApiError, Unreachable
from embedded.plugins.kubernetes.engine import Engine
from embedded.plugins.kubernetes.normalise import normalised
from embedded.plugins.kubernetes.properties import Object, from_struct, has_unknown, marked, to_struct
from embedded.plugins.kubernetes.refusal import not_ready, refuse, unsupported, without_secrets
from embedded.plugins.kubernetes.waiting import NotReady, Patience

T = TypeVar("T")

_GONE_FOR_GOOD = "if the cluster is no more, PULUMI_K8S_DELETE_UNREACHABLE=true takes its objects out of the state"

_MODES: dict[int, Literal["propose", "enforce", "disable"]] = {0: "propose", 1: "enforce", 2: "disable"}


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process, configured once, used by many threads."""

    def __init__(self, engine_address: str) -> None:
        self._engine = Engine(engine_address)
        self._stop = threading.Event()
        self._cluster = Cluster(options.Options())

    # -- the plug-in and its configuration

    def Handshake(self, request: pb.ProviderHandshakeRequest, context: Any) -> pb.ProviderHandshakeResponse:
        if request.engine_address:
            self._engine.reconnect(request.engine_address)
        return pb.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=False, accept_outputs=False, supports_autonaming_configuration=True
        )

    def Attach(self, request: plugin_pb2.PluginAttach, context: Any) -> empty_pb2.Empty:
        self._engine.reconnect(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> pb.GetSchemaResponse:
        # Enough for the engine, which asks on import; code for the imported object needs the official provider.
        return pb.GetSchemaResponse(schema=json.dumps({"name": "kubernetes", "version": VERSION}))

    def GetMapping(self, request: Any, context: Any) -> pb.GetMappingResponse:
        return pb.GetMappingResponse()

    def GetMappings(self, request: Any, context: Any) -> pb.GetMappingsResponse:
        return pb.GetMappingsResponse()

    def CheckConfig(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        found = options.problems(from_struct(request.news))
        return pb.CheckResponse(
            inputs=request.news, failures=[pb.CheckFailure(property=name, reason=why) for name, why in found]
        )

    def DiffConfig(self, request: pb.DiffRequest, context: Any) -> pb.DiffResponse:
        old = request.old_inputs if request.HasField("old_inputs") else request.olds
        diffs, replaces = configuration.difference(from_struct(old), from_struct(request.news))
        changed = pb.DiffResponse.DIFF_SOME if diffs else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(changes=changed, diffs=diffs, replaces=replaces)

    def Configure(self, request: pb.ConfigureRequest, context: Any) -> pb.ConfigureResponse:
        given = from_struct(request.args) if request.HasField("args") else configuration.of_variables(request.variables)
        found = options.problems(given)
        if found:
            refuse(context, "\n".join(why for _, why in found))
        self._cluster = Cluster(options.parse(given))
        return pb.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, supports_autonaming_configuration=True
        )

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self._stop.set()
        return empty_pb2.Empty()

    def Invoke(self, request: pb.InvokeRequest, context: grpc.ServicerContext) -> pb.InvokeResponse:
        if request.tok != "kubernetes:yaml:decode":
            unsupported(context, request.tok)
        try:
            result = invoke.decode(from_struct(request.args), self._cluster)
        except ValueError as error:
            refuse(context, f"kubernetes:yaml:decode: {error}")
        return pb.InvokeResponse(**{"return": to_struct(result)})  # type: ignore[arg-type]

    def Call(self, request: pb.CallRequest, context: grpc.ServicerContext) -> pb.CallResponse:
        unsupported(context, request.tok)

    def Construct(self, request: pb.ConstructRequest, context: grpc.ServicerContext) -> pb.ConstructResponse:
        unsupported(context, f"the component {request.type}: declare the objects themselves")

    def Parameterize(self, request: Any, context: grpc.ServicerContext) -> pb.ParameterizeResponse:
        unsupported(context, "parameters")

    # -- resources

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        token, news, olds = _token(request.urn), from_struct(request.news), from_struct(request.olds)
        found = check.problems(token, news)
        if found:
            return pb.CheckResponse(
                inputs=request.news, failures=[pb.CheckFailure(property=name, reason=why) for name, why in found]
            )
        mode = _MODES[request.autonaming.mode] if request.HasField("autonaming") else "propose"
        naming = check.Naming(
            request.urn.rpartition("::")[2],
            request.randomSeed,
            mode,
            request.autonaming.proposed_name,
        )
        try:
            return pb.CheckResponse(inputs=to_struct(check.checked(news, olds, naming, self._cluster)))
        except check.CannotName as error:
            failure = pb.CheckFailure(property="metadata.name", reason=str(error))
            return pb.CheckResponse(inputs=request.news, failures=[failure])
        except (ApiError, Unreachable) as error:
            refuse(context, str(error))

    def Diff(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> pb.DiffResponse:
        old_inputs, live = state.split(from_struct(request.olds))
        try:
            found = differences.between(
                live, old_inputs, state.inputs_of(from_struct(request.news)), list(request.ignoreChanges), self._cluster
            )
        except (ValueError, ApiError) as error:
            refuse(context, str(error))
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if found.detailed else pb.DiffResponse.DIFF_NONE,
            replaces=found.replaces,
            deleteBeforeReplace=found.delete_first,
            detailedDiff=found.detailed,
            hasDetailedDiff=True,
            diffs=found.members,
        )

    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> pb.CreateResponse:
        given = from_struct(request.properties)
        inputs = state.inputs_of(given)
        if request.preview:
            foreseen = self._try(context, given, lambda: write.preview_create(inputs, self._cluster))
            return pb.CreateResponse(properties=to_struct(self._foreseen(foreseen, inputs, given)))
        # Stacks of one name in two backends are two owners.
        owner = f"{os.environ.get('PULUMI_BACKEND_URL', '')} {request.urn}"
        manager = state.field_manager({}, inputs, owner if self._cluster.options.upsert else "")
        version, token = str(inputs["apiVersion"]), _token(request.urn)

        def run() -> Object:
            return write.create(inputs, token, self._cluster, manager, self._patience(request.urn, request.timeout))

        live = self._written(context, request.urn, inputs, given, version, manager, run)
        properties = state.saved(live, inputs, given, version, manager)
        return pb.CreateResponse(id=state.identity(live), properties=to_struct(properties))

    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> pb.UpdateResponse:
        given, olds = from_struct(request.news), from_struct(request.olds)
        inputs, ignored = normalised(state.inputs_of(given)), list(request.ignoreChanges)
        old_inputs, _ = state.split(olds)
        manager, former = state.field_manager(olds, inputs), state.field_manager(olds, old_inputs)
        version = state.initial_api_version(olds, old_inputs)
        if request.preview:
            foreseen = self._try(context, given, lambda: write.preview_update(inputs, ignored, self._cluster, manager))
            return pb.UpdateResponse(properties=to_struct(self._foreseen(foreseen, inputs, given)))

        def run() -> Object:
            return write.update(inputs, ignored, self._cluster, manager, self._patience(request.urn, request.timeout))

        live = self._written(context, request.urn, inputs, given, version, manager, run)
        if former != manager and state.FIELD_MANAGER in olds:
            self._try(context, given, lambda: write.relinquish(live, self._cluster, former))
        return pb.UpdateResponse(properties=to_struct(state.saved(live, inputs, given, version, manager)))

    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> pb.ReadResponse:
        given, olds = from_struct(request.inputs), from_struct(request.properties)
        old_inputs, (_, old_live) = state.inputs_of(given), state.split(olds)
        token = _token(request.urn)
        try:
            found = read.read(token, request.id, old_inputs, old_live, self._cluster)
        except Unreachable as error:
            if self._cluster.options.delete_unreachable:
                self._engine.warn(request.urn, f"{error}; deleteUnreachable is set, so it is taken as gone")
                return pb.ReadResponse()
            refuse(context, f"{error}; {_GONE_FOR_GOOD}")
        except ApiError as error:
            refuse(context, str(error))
        if found is None:
            return pb.ReadResponse()
        manager = state.field_manager(olds, found.inputs)
        version = state.initial_api_version(olds, found.inputs)
        properties = state.saved(found.live, found.inputs, given, version, manager)
        inputs = marked(found.inputs, state.dashed(given))
        if found.troubles:
            not_ready(context, request.id, properties, inputs, list(found.troubles))
        return pb.ReadResponse(id=request.id, properties=to_struct(properties), inputs=to_struct(inputs))

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        old_inputs, live = state.split(from_struct(request.properties))
        namespace, name = state.parse_identity(request.id)
        metadata = {**live.get("metadata", {}), "name": name, "namespace": namespace}
        item = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata}
        try:
            delete.delete(item, old_inputs, self._cluster, self._patience(request.urn, request.timeout))
        except Unreachable as error:
            if not self._cluster.options.delete_unreachable:
                refuse(context, f"{error}; {_GONE_FOR_GOOD}")
            self._engine.warn(request.urn, f"{error}; deleteUnreachable is set, so it is taken as gone")
        except (ApiError, NotReady) as error:
            refuse(context, f"{live['kind']} {request.id}: {error}")
        self._engine.done(request.urn)
        return empty_pb2.Empty()

    # -- shared by Create and Update

    def _patience(self, urn: str, timeout: float) -> Patience:
        return Patience(self._stop, lambda text: self._engine.progress(urn, text), timeout)

    def _foreseen(self, foreseen: Object, inputs: Object, given: Object) -> Object:
        if has_unknown(inputs) and foreseen is inputs:
            return given
        return marked(state.underscored(foreseen), state.underscored(given))  # type: ignore[no-any-return]

    def _try(self, context: grpc.ServicerContext, given: Object, run: Callable[[], T]) -> T:
        try:
            return run()
        except (ApiError, NoSuchKind, Unreachable) as error:
            inputs = state.inputs_of(given)
            place = f"{inputs.get('kind')} {state.identity(inputs)}" if not has_unknown(inputs.get("metadata")) else ""
            refuse(context, without_secrets(f"{place}: {error}", [given]))

    def _written(
        self,
        context: grpc.ServicerContext,
        urn: str,
        inputs: Object,
        given: Object,
        version: str,
        manager: str,
        run: Callable[[], Object],
    ) -> Object:
        try:
            live = self._try(context, given, run)
        except NotReady as failure:
            properties = state.saved(failure.live, inputs, given, version, manager)
            reasons = [without_secrets(reason, [given]) for reason in failure.reasons]
            not_ready(context, state.identity(failure.live), properties, given, reasons)
        self._engine.done(urn)
        return live


def _token(urn: str) -> str:
    """The resource type of a URN, without its parents' types."""
    return urn.split("::")[2].rpartition("$")[2]
