from __future__ import annotations

import pytest
from opentelemetry.semconv._incubating.attributes import aws_attributes, messaging_attributes
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.attributes import error_attributes

from sourceflow.telemetry.names import ATTRIBUTES, AWS, CORE, METRICS, SPANS

CONVENTIONS = {
    value
    for module in (aws_attributes, messaging_attributes, messaging_metrics, error_attributes)
    for value in vars(module).values()
    if isinstance(value, str)
}
"""What OpenTelemetry calls things."""

PROMISED = {
    "sourceflow.aws.command.dispatched": "counter",
    "sourceflow.aws.command.dispatch_error": "counter",
    "sourceflow.aws.event.published": "counter",
    "sourceflow.aws.event.publish_error": "counter",
    "sourceflow.aws.message.received": "counter",
    "sourceflow.aws.message.processed": "counter",
    "sourceflow.aws.message.processing_error": "counter",
    "sourceflow.aws.command.dispatch_duration": "histogram",
    "sourceflow.aws.event.publish_duration": "histogram",
    "sourceflow.aws.message.processing_duration": "histogram",
    "messaging.client.operation.duration": "histogram",
    "messaging.client.sent.messages": "counter",
    "messaging.client.consumed.messages": "counter",
    "messaging.process.duration": "histogram",
}
"""Names that others build on."""


def test_the_scopes_are_those_that_are_promised():
    assert (CORE, AWS) == ("SourceFlow", "SourceFlow.Cloud.AWS")


@pytest.mark.parametrize("name", PROMISED)
def test_promised_metrics_are_there(name):
    kinds = {metric.name: metric.kind for metric in METRICS}

    assert kinds[name] == PROMISED[name]


@pytest.mark.parametrize(
    "things", [ATTRIBUTES, METRICS, SPANS], ids=["attributes", "metrics", "spans"]
)
def test_a_name_means_one_thing(things):
    names = [thing.name for thing in things]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("thing", [*ATTRIBUTES, *METRICS], ids=str)
def test_a_name_is_ours_or_one_of_the_conventions(thing):
    assert thing.name.startswith("sourceflow.") or thing.name in CONVENTIONS


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_times_are_in_seconds_and_sizes_in_bytes(metric):
    is_size = metric.name.endswith(".size")
    is_time = (metric.kind == "histogram" and not is_size) or metric.name.endswith(".age")

    assert (metric.unit == "s") == is_time
    assert (metric.unit == "By") == is_size


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_no_metric_is_told_apart_by_a_key_or_an_id(metric):
    # each value would be a time series of its own, and a person's name would be kept for months
    names = {str(attribute) for attribute in metric.attributes}

    assert not {name for name in names if name.endswith(("id", "key", "sequence", "url", "arn"))}


@pytest.mark.parametrize("thing", [*METRICS, *SPANS], ids=str)
def test_attributes_are_in_the_catalogue(thing):
    assert set(thing.attributes) <= set(ATTRIBUTES)
