"""Point it at a Postgres URL. Insert a row. A durable function runs."""

from cdc.authoring.context import Context, Database, Embeddings
from cdc.authoring.event import Event
from cdc.authoring.function import Function, function
from cdc.authoring.options import Batch
from cdc.authoring.step import Step
from cdc.authoring.triggers import embedded_tables
from cdc.errors import NonRetriableError, RetryAfter, StepError

__all__ = [
    "Batch",
    "Context",
    "Database",
    "Embeddings",
    "Event",
    "Function",
    "NonRetriableError",
    "RetryAfter",
    "Step",
    "StepError",
    "embedded_tables",
    "function",
]
