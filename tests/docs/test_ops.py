"""The dashboard and the alert rules ask for metrics and labels that there are, in PromQL that parses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise

import promql_parser
import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import dashboard
from panels import ROWS
from sourceflow.resilience import CircuitOptions
from sourceflow.telemetry.names import ATTRIBUTES, METRICS

OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""


@pytest.fixture(scope="module")
def series():
    """The labels of each series, by name: what the exporter makes of the catalogue."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    try:
        for metric in METRICS:
            meter = provider.get_meter(metric.scope)
            attributes = {each.name: "x" for each in metric.attributes}
            match metric.kind:
                case "counter":
                    meter.create_counter(metric.name, metric.unit).add(1, attributes)
                case "gauge":
                    meter.create_gauge(metric.name, metric.unit).set(1, attributes)
                case "histogram":
                    meter.create_histogram(metric.name, metric.unit).record(1, attributes)
        text = generate_latest(REGISTRY).decode()
    finally:
        provider.shutdown()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels | OF_PROMETHEUS for name, labels in found.items()}


@pytest.fixture(scope="module")
def values():
    """All that a label can be, where there are few."""
    return {re.sub(r"\W", "_", each.name): set(each.values) for each in ATTRIBUTES if each.values}


@dataclass(frozen=True)
class Asked:
    """An expression that somebody asks for.

    Attributes:
        where: The panel or the alert.
        text: The expression.
        labels: Labels that what stands beside it uses.
    """

    where: str
    text: str
    labels: frozenset[str]


def asked_by_panels(root):
    made = json.loads((root / "ops/grafana/dashboard.json").read_text())
    for panel in made["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$__rate_interval", "5m")
            legend = frozenset(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            yield Asked(panel["title"], text, legend)
    for each in made["templating"]["list"]:
        if each["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", each["definition"])
            yield Asked(each["name"], found[1], frozenset())
            yield Asked(each["name"], f"sum by ({found[2]}) ({found[1]})", frozenset())


def rules_of(root):
    made = yaml.safe_load((root / "ops/prometheus/rules.yml").read_text())
    (group,) = made["groups"]
    return group["rules"]


def asked_by_alerts(root):
    for rule in rules_of(root):
        told = " ".join(rule["annotations"].values())
        labels = frozenset(re.findall(r"\$labels\.(\w+)", told))
        yield Asked(rule["alert"], rule["expr"], labels)


@pytest.fixture(scope="module", params=[asked_by_panels, asked_by_alerts])
def asked(request, root):
    return list(request.param(root))


def nodes(expression, kind):
    """Return every part of an expression that is of a kind."""
    found = []

    def visit(node):
        if isinstance(node, kind):
            found.append(node)

    promql_parser.walk(expression, visit)
    return found


def selectors(expression):
    """Return name and matchers of every series that is asked for."""
    return [
        (each.name, list(each.matchers.matchers))
        for each in nodes(expression, promql_parser.VectorSelector)
    ]


def test_every_series_that_is_asked_for_is_one_of_the_catalogue(asked, series):
    assert asked
    for each in asked:
        for name, _ in selectors(promql_parser.parse(each.text)):
            assert name in series, each


def test_every_label_is_one_that_its_series_have(asked, series):
    for each in asked:
        expression = promql_parser.parse(each.text)
        for name, matchers in selectors(expression):
            assert {matcher.name for matcher in matchers} <= series[name], each
        for aggregate in nodes(expression, promql_parser.AggregateExpr):
            for name, _ in selectors(aggregate):
                assert set(aggregate.modifier.labels) <= series[name], each


def test_every_value_that_is_asked_for_is_one_there_can_be(asked, values):
    for each in asked:
        for _, matchers in selectors(promql_parser.parse(each.text)):
            for matcher in matchers:
                if matcher.name in values and not matcher.value.startswith("$"):
                    assert set(matcher.value.split("|")) <= values[matcher.name], each


def test_what_is_told_of_an_expression_has_the_labels_for_it(asked):
    """Only labels that everything is gathered by are left for a legend or a text."""
    for each in asked:
        for aggregate in nodes(promql_parser.parse(each.text), promql_parser.AggregateExpr):
            assert each.labels <= set(aggregate.modifier.labels), each


def test_only_series_that_are_gathered_alike_are_joined(asked):
    for each in asked:
        expression = promql_parser.parse(each.text)
        gathered = [
            set(aggregate.modifier.labels)
            for aggregate in nodes(expression, promql_parser.AggregateExpr)
        ]
        assert all(one == other for one, other in pairwise(gathered)), each


def test_only_counters_are_asked_how_much_they_grow(asked):
    for each in asked:
        for call in nodes(promql_parser.parse(each.text), promql_parser.Call):
            if call.func.name in {"rate", "increase"}:
                ((name, _),) = selectors(call)
                assert name.endswith(("_total", "_bucket", "_sum", "_count")), each


def test_gauges_that_all_instances_report_alike_are_not_added_up(asked):
    shared = {
        "sourceflow_aws_queue_depth",
        "sourceflow_aws_dead_letter_depth",
        "sourceflow_outbox_depth",
        "sourceflow_outbox_age_seconds",
    }
    for each in asked:
        if each.where == "queue":
            continue  # a list of names
        for aggregate in nodes(promql_parser.parse(each.text), promql_parser.AggregateExpr):
            if {name for name, _ in selectors(aggregate)} & shared:
                assert str(aggregate).startswith("max "), each


def alert(root, name):
    """Return an alert's expression, parsed, and for how long it holds before it is told."""
    (rule,) = [each for each in rules_of(root) if each["alert"] == name]
    return promql_parser.parse(rule["expr"]), promql_parser.parse_duration(rule["for"])


def test_a_circuit_that_is_probed_now_and_then_is_told_of_and_one_that_opened_once_is_not(root):
    # with the defaults it is open for 60 s, and half open while its probe waits for an answer
    expression, lasts = alert(root, "SourceflowCircuitOpen")
    (window,) = [each.range for each in nodes(expression, promql_parser.MatrixSelector)]
    open_for = CircuitOptions().open_for

    assert window > open_for  # it reaches over what is half open
    assert lasts > window + open_for  # how long one opening is seen


def test_an_age_is_not_forgotten_while_nothing_is_received(root):
    expression, lasts = alert(root, "SourceflowQueueOld")
    (window,) = [each.range for each in nodes(expression, promql_parser.MatrixSelector)]

    assert window >= lasts


def test_who_asks_whether_a_counter_grew_asks_whether_it_is_new_where_it_begins_with_its_first_value(
    root,
):
    read_from_0 = {"sourceflow_aws_lease_lost_total"}  # shown as long as its listener runs
    asked = []
    for each in asked_by_alerts(root):
        expression = promql_parser.parse(each.text)
        for call in nodes(expression, promql_parser.Call):
            ((name, _),) = selectors(call)
            if (
                call.func.name == "increase"
                and name not in read_from_0
                and "unless on" not in each.text
            ):
                asked.append(name)
                assert f"({name} unless {name} offset 15m)" in each.text

    assert asked == ["sourceflow_dead_letters_written_total"]


def test_the_dashboard_is_what_its_panels_say(root):
    assert (root / "ops/grafana/dashboard.json").read_text() == dashboard.text()


def test_every_panel_has_a_place_of_its_own():
    made = dashboard.panels()
    taken = set()
    for panel in made:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in made}) == len(made)
    assert [panel["title"] for panel in made if panel["type"] == "row"] == list(ROWS)


def test_every_alert_is_whole_and_says_what_to_do(root, documents):
    rules = rules_of(root)
    guide = documents["docs/guide/monitoring.md"]
    sections = re.findall(r"^### (\w+)$", guide.text, re.MULTILINE)

    assert sections == [rule["alert"] for rule in rules]
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert promql_parser.parse_duration(rule.get("for", "1m"))
        assert rule["annotations"]["runbook"] == f"docs/guide/monitoring.md#{rule['alert'].lower()}"


def test_the_rows_of_the_dashboard_are_those_of_the_guide(documents):
    rows = documents["docs/guide/monitoring.md"].table("row", "what it shows")

    assert [row for row, _ in rows] == list(ROWS)
