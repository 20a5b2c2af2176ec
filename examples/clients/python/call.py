"""Any call of the service, without generated files: an engine describes itself by reflection.

python call.py SubmitRuns '{"runs": [{"workflow": "namespaces/sales/workflows/order-approval/versions/latest"}]}'
"""

import os
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def answers(channel, name, text):
    """The answers of one call: of a stream all, otherwise one."""
    described = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service = described.FindServiceByName("flux.v1.FluxService")
    method = service.methods_by_name[name]
    request = json_format.Parse(text, GetMessageClass(method.input_type)())
    ask = (channel.unary_stream if method.server_streaming else channel.unary_unary)(
        f"/{service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    answer = ask(request)
    yield from answer if method.server_streaming else [answer]


if __name__ == "__main__":
    engine = os.environ.get("FLUX_ENGINE", "http://127.0.0.1:7520")
    with grpc.insecure_channel(engine.removeprefix("http://")) as channel:
        try:
            for answer in answers(channel, sys.argv[1], sys.argv[2]):
                print(json_format.MessageToJson(answer))
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
