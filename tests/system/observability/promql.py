"""The dashboard, the alert rules, and their Prometheus queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import promql_parser
import yaml

FILES = Path(__file__).parents[3] / "deploy/helm/taskcore/files"

Node = TypeVar("Node", bound=promql_parser.Expr)


def queries() -> Iterator[tuple[str, promql_parser.Expr]]:
    """Yield each query with the title of its panel or alert."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], promql_parser.parse(target["expr"].replace("$__rate_interval", "5m"))
    for rule in rules():
        yield rule["alert"], promql_parser.parse(rule["expr"])


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def find_nodes(query: Any, kind: type[Node]) -> list[Node]:
    found: list[Node] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, kind):
            found.append(node)

    promql_parser.walk(query, visit)
    return found
