"""What the dashboard shows: rows of panels, each with its lines."""

from __future__ import annotations

from dataclasses import dataclass

JOB = 'job=~"$job"'
QUEUE = f'{JOB}, messaging_destination_name=~"$queue"'

AT = "messaging_destination_name"
TYPE = "sourceflow_message_type"
HANDLER = "sourceflow_handler"
ERROR = "error_type"
OUTCOME = "sourceflow_outcome"
REASON = "sourceflow_dead_letter_reason"
STATE = "sourceflow_queue_state"
APP = "sourceflow_app"
USE = "sourceflow_cache_use"
OPERATION = "messaging_operation_name"


@dataclass(frozen=True)
class Line:
    """One line of a panel, or several that its labels tell apart.

    Attributes:
        legend: What it is called.
        expression: PromQL.
    """

    legend: str
    expression: str


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: What it shows.
        unit: As Grafana calls it.
        description: How to read it.
        lines: What is drawn.
        most: From where on it is red; None leaves it.
    """

    title: str
    unit: str
    description: str
    lines: tuple[Line, ...]
    most: float | None = None


def panel(
    title: str, unit: str, description: str, *lines: Line, most: float | None = None
) -> Panel:
    """Return a panel."""
    return Panel(title, unit, description, lines, most)


def rate(metric: str, *by: str, where: str = JOB) -> Line:
    """Return how much a counter grows a second."""
    labels = ", ".join(by)
    return Line(_legend(by), f"sum by ({labels}) (rate({metric}{{{where}}}[$__rate_interval]))")


def quantile(part: float, metric: str, *by: str, where: str = JOB, name: str = "") -> Line:
    """Return what part of the values of a histogram stays below."""
    legend = " ".join(filter(None, (f"p{part * 100:g}", name, _legend(by))))
    labels = ", ".join((*by, "le"))
    grown = f"sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval]))"
    return Line(legend, f"histogram_quantile({part}, {grown})")


def highest(metric: str, *by: str, where: str = JOB) -> Line:
    """Return a gauge that every instance reports alike, once."""
    return Line(_legend(by), f"max by ({', '.join(by)}) ({metric}{{{where}}})")


def total(metric: str, *by: str, where: str = JOB) -> Line:
    """Return a gauge that every instance has of its own, summed up."""
    return Line(_legend(by), f"sum by ({', '.join(by)}) ({metric}{{{where}}})")


def _legend(by: tuple[str, ...]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)


HANDLING = "sourceflow_aws_message_processing_duration_seconds"

ROWS: dict[str, tuple[Panel, ...]] = {
    "Throughput": (
        panel(
            "Commands sent", "mps",
            "Commands that SQS has confirmed, by type.",
            rate("sourceflow_aws_command_dispatched_total", TYPE),
        ),
        panel(
            "Events published", "mps",
            "Events that SNS has confirmed, by type.",
            rate("sourceflow_aws_event_published_total", TYPE),
        ),
        panel(
            "Messages handled", "mps",
            "Messages that are done, by queue; duplicates and what nobody listens to count too.",
            rate("sourceflow_aws_message_processed_total", AT, where=QUEUE),
        ),
        panel(
            "Commands that took effect", "mps",
            "Commands whose work was committed, received ones and others, by type.",
            rate("sourceflow_domain_commands_executed_total", TYPE),
        ),
        panel(
            "Work on events", "mps",
            "Events that views and aggregates have worked on, by subscriber.",
            rate("sourceflow_domain_subscribers_executed_total", HANDLER),
        ),
        panel(
            "Duplicates", "mps",
            "Messages that had been handled before. Some are normal: queues deliver at least once.",
            rate("sourceflow_duplicates_detected_total", TYPE),
        ),
    ),
    "Latency": (
        panel(
            "Handling a message", "s",
            "From decoding to the commit, by queue.",
            quantile(0.5, HANDLING, AT, where=QUEUE),
            quantile(0.99, HANDLING, AT, where=QUEUE),
        ),
        panel(
            "Sending", "s",
            "From the call until SQS or SNS has confirmed.",
            quantile(0.99, "sourceflow_aws_command_dispatch_duration_seconds", name="commands"),
            quantile(0.99, "sourceflow_aws_event_publish_duration_seconds", name="events"),
        ),
        panel(
            "Calls of SQS and SNS", "s",
            "A receive takes up to 20 seconds where a queue is empty.",
            quantile(0.99, "messaging_client_operation_duration_seconds", OPERATION),
        ),
    ),
    "Errors": (
        panel(
            "Failed handlings", "mps",
            "By queue and outcome: retry is tried again, rejected is a dead letter, paused waits for "
            "a dependency.",
            rate("sourceflow_aws_message_processing_error_total", AT, OUTCOME, where=QUEUE),
        ),
        panel(
            "Handlers that raised", "mps",
            "By handler and class of the error.",
            rate("sourceflow_domain_handlers_failed_total", HANDLER, ERROR),
        ),
        panel(
            "Sends that failed", "mps",
            "By destination and class of the error. What an outbox holds is sent again.",
            rate("sourceflow_aws_command_dispatch_error_total", AT, ERROR),
            rate("sourceflow_aws_event_publish_error_total", AT, ERROR),
        ),
        panel(
            "Dead letters", "short",
            "Messages in each dead letter queue. There should be none.",
            highest("sourceflow_aws_dead_letter_depth", AT),
            most=1,
        ),
        panel(
            "Given up", "mps",
            "Messages that became dead letters, by type and reason.",
            rate("sourceflow_dead_letters_written_total", TYPE, REASON),
        ),
        panel(
            "Leases lost", "mps",
            "Messages that others may have seen while they were handled here.",
            rate("sourceflow_aws_lease_lost_total", AT, where=QUEUE),
        ),
    ),
    "Queues": (
        panel(
            "Messages that wait", "short",
            "Visible or delayed, by queue.",
            highest(
                "sourceflow_aws_queue_depth", AT, STATE, where=f'{QUEUE}, {STATE}!="in_flight"'
            ),
        ),
        panel(
            "Waiting time", "s",
            "How long the oldest message that was received had waited.",
            highest("sourceflow_aws_queue_age_seconds", AT, where=QUEUE),
        ),
        panel(
            "Handled now", "short",
            "Messages that are being handled, over all instances.",
            total("sourceflow_aws_message_in_flight", AT, where=QUEUE),
        ),
        panel(
            "Listeners", "short",
            "Instances that receive from a queue; 0 means that all are paused.",
            total("sourceflow_aws_listener_receiving", AT, where=QUEUE),
        ),
    ),
    "Outbox": (
        panel(
            "Rows that wait", "short",
            "Committed messages that have not left yet, by App.",
            highest("sourceflow_outbox_depth", APP),
        ),
        panel(
            "Age of the oldest", "s",
            "It should stay below some seconds.",
            highest("sourceflow_outbox_age_seconds", APP),
            most=300,
        ),
    ),
    "Encryption": (
        panel(
            "Data keys asked for", "ops",
            "Calls of the key service: one for each data key, however many messages there are.",
            rate("sourceflow_aws_data_key_cache_misses_total", USE),
        ),
        panel(
            "Messages by data keys at hand", "mps",
            "Messages that were encrypted or decrypted without a call.",
            rate("sourceflow_aws_data_key_cache_hits_total", USE),
        ),
    ),
    "Circuits": (
        panel(
            "State", "short",
            "0 is closed, 1 half open, 2 open: nothing is sent to that queue or topic.",
            highest("sourceflow_aws_circuit_state", AT),
            most=2,
        ),
    ),
}  # fmt: skip
