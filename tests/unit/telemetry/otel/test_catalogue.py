"""Each name of the catalogue is emitted, and nothing that is not in it."""

from __future__ import annotations

import pytest
from watched_shop import Create, Fail, Order, Orders, Refuse, Summaries, Summary, Watch

from sourceflow.errors import AwsRequestError
from sourceflow.telemetry.names import METRICS, SPANS

KINDS = {"Sum": "counter", "Gauge": "gauge", "Histogram": "histogram"}
PLACES = ("orders.fifo", "tries", "order-events", "shop-events")


@pytest.fixture
async def told(aws, shop):
    """Return what a shop tells that goes through all that can happen to it."""
    watch = Watch()
    app = shop(encrypted=True, telemetry=watch.telemetry(details=True))
    async with app:
        await app.send(Create(order_id="o-1"))
        await app.drained()
        await app.send(Refuse(order_id="o-1"))
        Orders.failures = 1
        await app.send(Fail(order_id="o-2"), message_id="twice")
        await app.drained()
        await app.send(Fail(order_id="o-2"), message_id="twice")
        await app.drained()
        await app.find(Summary, "o-1")
        await app.replay(Order, "o-1")
        await app.rebuild(Summaries)
        aws.refuse("SendMessageBatch", "InvalidParameterValue")
        with pytest.raises(AwsRequestError):
            await app.send(Create(order_id="o-3"))
        aws.refuse("PublishBatch", "InvalidParameterValue")
        await app.send(Create(order_id="o-4"))
        await app.drained()
        await watch.sample(app)
        metrics = watch.metrics()
    return watch.spans, metrics


def generic(name):
    """Return the name of a kind of span: without the name of a queue or topic."""
    operation, _, place = name.partition(" ")
    if not place:
        return name
    assert place in PLACES
    return f"{operation} {{{'topic' if place == 'order-events' else 'queue'}}}"


async def test_every_metric_is_emitted_as_the_catalogue_says_and_no_other(told):
    _, metrics = told

    emitted = {
        (scope, name, KINDS[type(metric.data).__name__], metric.unit, metric.description)
        for name, (scope, metric) in metrics.items()
    }

    assert emitted == {
        (each.scope, each.name, each.kind, each.unit, each.description) for each in METRICS
    }


async def test_metrics_are_told_apart_by_the_attributes_of_the_catalogue(told):
    _, metrics = told
    known = {each.name: {str(attribute) for attribute in each.attributes} for each in METRICS}

    for name, (_, metric) in metrics.items():
        used = {key for point in metric.data.data_points for key in point.attributes}
        assert used <= known[name], name
        assert known[name] - used <= {"error.type"}, name  # only where there was an error


async def test_every_kind_of_span_is_emitted_as_the_catalogue_says_and_no_other(told):
    spans, _ = told

    emitted = {
        (each.instrumentation_scope.name, generic(each.name), each.kind.name) for each in spans
    }

    assert emitted == {(each.scope, each.name, each.kind) for each in SPANS}


async def test_spans_carry_the_attributes_of_the_catalogue(told):
    spans, _ = told

    for kind in SPANS:
        used = {key for each in spans if generic(each.name) == kind.name for key in each.attributes}
        known = {str(attribute) for attribute in kind.attributes}
        assert used <= known, kind.name
        assert known - used <= {"error.type"}, kind.name


async def test_attributes_have_the_values_of_the_catalogue(told):
    spans, metrics = told
    known = {
        attribute.name: set(attribute.values)
        for each in (*SPANS, *METRICS)
        for attribute in each.attributes
        if attribute.values
    }
    points = [point for _, metric in metrics.values() for point in metric.data.data_points]

    for attributes in (each.attributes for each in (*spans, *points)):
        for name, value in attributes.items():
            assert value in known.get(name, {value}), name


async def test_without_details_there_are_only_the_spans_of_messages(shop, watch):
    async with shop() as app:
        await app.send(Create(order_id="o-1"))
        await app.drained()

    emitted = {generic(each.name) for each in watch.spans}

    assert emitted == {each.name for each in SPANS if not each.is_detail}
