"""Writes the dashboard beside it: ``python ops/grafana/dashboard.py``.

Grafana's JSON says everything of each panel; ``panels.py`` says what makes them differ. A test keeps
the file up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from panels import ROWS, Panel

TARGET = Path(__file__).with_name("dashboard.json")
COLUMNS = 3
WIDTH = 24 // COLUMNS
HEIGHT = 8
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def variable(name: str, query: str, label: str) -> dict[str, Any]:
    """Return a choice of one label's values."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def picture(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    """Return a panel as Grafana reads it."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.most is not None:
        steps.append({"color": "red", "value": panel.most})
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": {
                    "fillOpacity": 10,
                    "showPoints": "never",
                    "thresholdsStyle": {"mode": "off" if panel.most is None else "line"},
                },
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": DATASOURCE,
                "expr": line.expression,
                "legendFormat": line.legend,
            }
            for at, line in enumerate(panel.lines)
        ],
    }


def panels() -> list[dict[str, Any]]:
    """Return all panels, row by row."""
    made: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        head = {"h": 1, "w": 24, "x": 0, "y": y}
        made.append(
            {"id": len(made) + 1, "type": "row", "title": title, "collapsed": False, "panels": []}
            | {"gridPos": head}
        )
        y += 1
        for at, panel in enumerate(row):
            x = at % COLUMNS * WIDTH
            made.append(picture(panel, len(made) + 1, x, y + at // COLUMNS * HEIGHT))
        y += -(-len(row) // COLUMNS) * HEIGHT
    return made


def dashboard() -> dict[str, Any]:
    """Return the whole dashboard."""
    return {
        "uid": "sourceflow",
        "title": "sourceflow",
        "description": "Messages over SQS and SNS: throughput, latency, errors, queues, outbox.",
        "tags": ["sourceflow"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                },
                variable(
                    "job", "label_values(sourceflow_domain_commands_executed_total, job)", "Service"
                ),
                variable(
                    "queue",
                    'label_values(sourceflow_aws_queue_depth{job=~"$job"}, messaging_destination_name)',
                    "Queue",
                ),
            ]
        },
        "panels": panels(),
    }


def text() -> str:
    """Return the dashboard as its file holds it."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
