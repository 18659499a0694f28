"""The messages on the connection of a worker (protocol section 7): protocol buffers, made from the table below.

Only the fields that mean something here; the others that SDKs send are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

_TABLE = """
Frame                kind:1:int32 payload:2:bytes
App                  app_name:1 app_version:2 functions:4:bytes
Auth                 session_token:1 sync_token:2
WorkerConnect        connection_id:1 instance_id:2 auth_data:3:Auth apps:5:*App worker_manual_readiness_ack:6:bool
                     framework:9 platform:10 sdk_version:11 sdk_language:12 max_worker_concurrency:14:int64
ConnectionReady      heartbeat_interval:1 extend_lease_interval:2
ExecutorRequest      request_id:1 app_name:5 function_id:6 function_slug:7 step_id:8 request_payload:9:bytes
                     user_trace_ctx:11:bytes run_id:12 lease_id:13 job_id:14
RequestAck           request_id:1
ExtendLease          request_id:1 lease_id:10
ExtendLeaseAck       request_id:1 function_slug:5 new_lease_id:6
Reply                request_id:1 status:5:int32 body:6:bytes no_retry:7:bool retry_after:8 sdk_version:9
                     request_version:10:uint32
ReplyAck             request_id:1
SyncFailed           code:1 message:3
StartResponse        connection_id:1 gateway_endpoint:2 gateway_group:3 session_token:4 sync_token:5
FlushResponse        request_id:1
"""
"""Message, and its fields as name:number:type; text where no type is said, `*` for many."""

_TYPES = {
    "": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
}


class Kind(IntEnum):
    """What a frame carries."""

    HELLO = 0
    WORKER_CONNECT = 1
    CONNECTION_READY = 2
    EXECUTOR_REQUEST = 3
    WORKER_READY = 4
    REQUEST_ACK = 5
    REPLY = 6
    REPLY_ACK = 7
    WORKER_PAUSE = 8
    WORKER_HEARTBEAT = 9
    GATEWAY_HEARTBEAT = 10
    GATEWAY_CLOSING = 11
    EXTEND_LEASE = 12
    EXTEND_LEASE_ACK = 13
    SYNC_FAILED = 14
    WORKER_STATUS = 15


class Status(IntEnum):
    """What a call came to, in a reply."""

    NOT_COMPLETED = 0
    DONE = 1
    ERROR = 2


class Garbled(Exception):
    """Bytes that are no such message."""


def _classes() -> Mapping[str, Any]:
    """The classes of the table, in a pool of their own: an SDK in this process may have messages of the same names."""
    file = FileDescriptorProto(name="connect", package="cdc.connect", syntax="proto3")
    for word in _TABLE.split():
        name, *said = word.split(":")
        if said:
            _add_field(file, name, int(said[0]), "".join(said[1:]))
        else:
            file.message_type.add(name=name)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindFileByName(file.name).message_types_by_name
    return {name: GetMessageClass(descriptor) for name, descriptor in found.items()}


def _add_field(file: FileDescriptorProto, name: str, number: int, kind: str) -> None:
    field = file.message_type[-1].field.add(name=name, number=number)
    field.label = FieldDescriptorProto.LABEL_REPEATED if kind[:1] == "*" else FieldDescriptorProto.LABEL_OPTIONAL
    if (plain := kind.removeprefix("*")) in _TYPES:
        field.type = _TYPES[plain]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{file.package}.{plain}"


_made = _classes()

Frame: Any = _made["Frame"]
App: Any = _made["App"]
Auth: Any = _made["Auth"]
WorkerConnect: Any = _made["WorkerConnect"]
ConnectionReady: Any = _made["ConnectionReady"]
ExecutorRequest: Any = _made["ExecutorRequest"]
RequestAck: Any = _made["RequestAck"]
ExtendLease: Any = _made["ExtendLease"]
ExtendLeaseAck: Any = _made["ExtendLeaseAck"]
Reply: Any = _made["Reply"]
ReplyAck: Any = _made["ReplyAck"]
SyncFailed: Any = _made["SyncFailed"]
StartResponse: Any = _made["StartResponse"]
FlushResponse: Any = _made["FlushResponse"]


def frame(kind: Kind, message: Any = None) -> bytes:
    """A frame, with a message or alone."""
    payload = b"" if message is None else message.SerializeToString()
    framed: bytes = Frame(kind=kind, payload=payload).SerializeToString()
    return framed


def read(message: Any, data: bytes) -> Any:
    """A message of this class from its bytes.

    Raises:
        Garbled: they are none.
    """
    try:
        return message.FromString(data)
    except DecodeError:
        raise Garbled(f"no {message.DESCRIPTOR.name}") from None
