"""Point it at a Postgres URL. Insert a row. A durable function runs."""

from cdc.authoring.context import Context, Database, Embeddings
from cdc.authoring.cron import Cron
from cdc.authoring.event import Event
from cdc.authoring.function import Function, function
from cdc.authoring.hit import Hit
from cdc.authoring.options import Batch, Cancel, Concurrency, Debounce, RateLimit, Singleton, Throttle, Timeouts
from cdc.authoring.step import Step
from cdc.authoring.triggers import EventTrigger, embedded_tables
from cdc.client import Client
from cdc.errors import EventsRefused, NonRetriableError, RetryAfter, ServiceUnreachable, StepError

__all__ = [
    "Batch",
    "Cancel",
    "Client",
    "Concurrency",
    "Context",
    "Cron",
    "Database",
    "Debounce",
    "Embeddings",
    "Event",
    "EventTrigger",
    "EventsRefused",
    "Function",
    "Hit",
    "NonRetriableError",
    "RateLimit",
    "RetryAfter",
    "ServiceUnreachable",
    "Singleton",
    "Step",
    "StepError",
    "Throttle",
    "Timeouts",
    "embedded_tables",
    "function",
]
