"""Every metric of `/metrics`: its name, type, labels and meaning, and which of the service's figures it tells.

In words, with the bounds of its labels: docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cdc.tallies import DOLLAR

Source = tuple[str, tuple[str, ...]]
"""What is counted (`cdc.tallies.KINDS`) or measured (`cdc.store.gauges.KINDS`), and the values of its labels but
the name.
"""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; a counter's samples end in `_total`. Those without `sources` the collector knows itself."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    unit: float = 1.0


FAMILIES: Mapping[str, Family] = {
    # Of this process and its workers, since its start.
    "cdc_events_accepted": Family("counter", "Events stored, by name.", ("name",), (("event", ()),)),
    "cdc_runs_started": Family("counter", "Runs claimed for the first time.", ("function",), (("started", ()),)),
    "cdc_runs": Family(
        "counter",
        "Runs that ended.",
        ("function", "status"),
        tuple((status, (status,)) for status in ("completed", "failed", "cancelled")),
    ),
    "cdc_attempts_retried": Family(
        "counter", "Attempts of steps and handlers that failed and are made again.", ("function",), (("retried", ()),)
    ),
    "cdc_run_duration_seconds": Family(
        "histogram",
        "From the start of a run to its end, completed or failed; sleeps and waits included.",
        ("function",),
        (("completed", ()), ("failed", ())),
    ),
    "cdc_run_wait_seconds": Family(
        "histogram", "From when a run was due until it was claimed first.", ("function",), (("started", ()),)
    ),
    "cdc_ai_calls": Family(
        "counter",
        "Calls of models, those for vectors included.",
        ("model", "outcome"),
        (("call", ("answered",)), ("call_failed", ("failed",))),
    ),
    "cdc_ai_call_duration_seconds": Family("histogram", "How long models took to answer.", ("model",), (("call", ()),)),
    "cdc_ai_tokens": Family(
        "counter",
        "Tokens that models read and wrote.",
        ("model", "direction"),
        (("input_tokens", ("input",)), ("output_tokens", ("output",))),
    ),
    "cdc_ai_cost_dollars": Family(
        "counter", "What calls cost, where the price is known.", ("model",), (("cost", ()),), 1 / DOLLAR
    ),
    "cdc_ai_unpriced_calls": Family(
        "counter", "Answered calls of which no price is known.", ("model",), (("unpriced", ()),)
    ),
    "cdc_http_requests": Family("counter", "Requests answered, by route and status code.", ("route", "code")),
    # Of this process, now.
    "cdc_build_info": Family("gauge", "Always 1; says which version runs.", ("version",)),
    "cdc_ready": Family("gauge", "Whether this service does its part, as /readyz answers."),
    "cdc_state_up": Family("gauge", "Whether the state database answered this scrape."),
    "cdc_workers_up": Family("gauge", "Whether all worker processes of this service are ready."),
    "cdc_listening": Family("gauge", "Whether this service listens to the source.", ("source",)),
    # Of all services on the state together, measured once a minute.
    "cdc_replication_lag_bytes": Family(
        "gauge", "WAL of the source that is not accepted yet.", ("source",), (("lag_bytes", ()),)
    ),
    "cdc_replication_lag_seconds": Family(
        "gauge",
        "How long the oldest WAL that was received and is not accepted has waited.",
        ("source",),
        (("lag_seconds", ()),),
    ),
    "cdc_slot_retained_bytes": Family(
        "gauge", "WAL that the server keeps for the slot.", ("source",), (("retained_bytes", ()),)
    ),
    "cdc_slot_lost": Family("gauge", "Whether the server has invalidated the slot.", ("source",), (("slot_lost", ()),)),
    "cdc_gaps_open": Family("gauge", "Windows of lost changes that have no end yet.", (), (("gaps", ()),)),
    "cdc_queue_age_seconds": Family(
        "gauge", "How long the oldest run that is due has waited for a worker.", (), (("queue_age", ()),)
    ),
    "cdc_runs_unfinished": Family(
        "gauge", "Unfinished runs by status, counted to 10000.", ("status",), (("runs", ()),)
    ),
    "cdc_ai_inferences_waiting": Family(
        "gauge", "Calls of models that runs wait for, counted to 10000.", (), (("inferences", ()),)
    ),
    "cdc_forward_waiting": Family(
        "gauge",
        "Row events that wait to be sent on to a cluster, counted to 10000.",
        ("source",),
        (("forward_waiting", ()),),
    ),
    "cdc_forward_age_seconds": Family(
        "gauge", "How long the oldest of them has waited.", ("source",), (("forward_age", ()),)
    ),
    "cdc_embeddings_backlog": Family(
        "gauge", "Rows that should have a vector and have none yet.", ("target",), (("backlog", ()),)
    ),
    "cdc_embeddings_put_aside": Family(
        "gauge", "Rows with a text that was put aside.", ("target",), (("put_aside", ()),)
    ),
    "cdc_state_connections": Family(
        "gauge", "Connections to the state database, whoever's.", (), (("connections", ()),)
    ),
}
