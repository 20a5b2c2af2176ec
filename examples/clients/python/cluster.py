"""A cluster of Flux engines, of which one is asked until it is lost. Copy this file."""

import os
import sys
import time

import grpc
from flux.v1 import service_pb2, service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PATIENCE = 60  # seconds for which an engine that answers is looked for
DEADLINE = 30  # seconds that one call may take
# A connection whose other end is gone without a word is noticed after 30 seconds.
OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 16 << 20),
]


class Cluster:
    def __init__(self, engines, token="", ca_file=""):
        """Engines such as http://127.0.0.1:7520; with https:// `ca_file` names whom to trust."""
        self.engines = engines
        self.channels = [connect(engine, ca_file) for engine in engines]
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.current = 0
        self.lost_since = None  # when the first of the engines that were lost in a row was

    @classmethod
    def from_environment(cls):
        """The same variables as those of the command line."""
        engines = os.environ.get("FLUX_ENGINE") or "http://127.0.0.1:7520"
        return cls(
            [engine.strip() for engine in engines.split(",")],
            os.environ.get("FLUX_CLIENT_TOKEN", ""),
            os.environ.get("FLUX_TLS_CA_FILE", ""),
        )

    def call(self, method, request):
        """Asks one engine after the other until one answers. To ask again does no harm: submissions
        have their `request_id` and events their `id`."""
        while True:
            try:
                ask = getattr(self._stub(), method)
                answer = ask(request, timeout=DEADLINE, metadata=self.metadata)
                self.lost_since = None
                return answer
            except grpc.RpcError as error:
                self._lost(error)

    def watch(self, run):
        """What happens to a run, until its end, though engines come and go meanwhile."""
        token = ""
        while True:
            try:
                request = service_pb2.WatchRunRequest(name=run, resume_token=token)
                for news in self._stub().WatchRun(request, metadata=self.metadata):
                    token, self.lost_since = news.resume_token, None
                    yield news
                return
            except grpc.RpcError as error:
                self._lost(error)

    def _stub(self):
        return service_pb2_grpc.FluxServiceStub(self.channels[self.current])

    def _lost(self, error):
        """Turns to the next engine when that may help, and fails otherwise."""
        now = time.monotonic()
        self.lost_since = self.lost_since or now
        if error.code() != grpc.StatusCode.UNAVAILABLE or now - self.lost_since > PATIENCE:
            raise error
        lost = self.engines[self.current]
        self.current = (self.current + 1) % len(self.engines)
        print(f"{lost} is lost, asking {self.engines[self.current]}", file=sys.stderr, flush=True)
        if self.current == 0:
            time.sleep(0.5)  # all were asked


def connect(engine, ca_file):
    scheme, _, address = engine.partition("://")
    if scheme == "http":
        return grpc.insecure_channel(address, OPTIONS)
    if scheme != "https":
        raise ValueError(f"{engine}: an engine is such as http://127.0.0.1:7520")
    authorities = open(ca_file, "rb").read() if ca_file else None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authorities), OPTIONS)


def explain(error):
    """What an engine says of its refusal: which fields are wrong, or what it is about."""
    text = f"{error.code().name}: {error.details()}"
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        request, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
        if detail.Unpack(request):
            for wrong in request.field_violations:
                if wrong.description not in text:
                    text += f"\n  {wrong.field}: {wrong.description}"
        elif detail.Unpack(info):
            about = ", ".join(f"{name} {value}" for name, value in info.metadata.items())
            text += f"\n  {info.reason}: {about}"
    return text
