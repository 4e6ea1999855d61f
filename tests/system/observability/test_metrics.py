"""The metrics of all processes of an installation. The dashboard and the alert rules use no others."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path

import httpx
import promql_parser
import psutil
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from collector_k8s import metrics as of_events
from harness.metrics import parse_series, scrape
from harness.processes import Service, Services
from harness.waiting import eventually
from taskcore.observability import metrics as of_tasks
from tests.system.conftest import MakeSystem
from tests.system.observability.promql import dashboard, find_nodes, queries, rules
from tests.system.system import System

ROOT = Path(__file__).parents[3]
#: What Prometheus adds to whatever it scrapes.
TARGET_LABELS = {"namespace", "job", "instance", "pod"}


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    system = make_system({"TASKCORE_API__PROCESSES": "2"})
    system.start(coordinators=1)
    return system


@pytest.fixture(scope="module")
def worker(started: list[Service]) -> Service:
    return started[0]


@pytest.fixture(scope="module")
def started(system: System, services: Services, database_url: str) -> list[Service]:
    """Start a worker, kill one of its executors, and start both collectors."""
    of_cluster = services.start("collector-k8s", env={"TASKCORE_DATABASE_URL": database_url}, ready=False)
    worker = system.start_worker(ready=False, processes=2, threads=1, heartbeat_s=1)
    started = [worker, system.start_analytics(ready=False), of_cluster]
    for service in started:
        service.wait_until_ready()
    system.wait_for([*system.submit_many(40, "noop"), system.submit("flaky", max_attempts=1)])
    os.kill(executors(worker)[0].pid, signal.SIGKILL)
    eventually(lambda: "executor.exited" in worker.log)
    return started


@pytest.fixture(scope="module")
def pages(system: System, started: list[Service]) -> list[str]:
    """Return the `/metrics` page of each process, while there is something to show in each gauge."""
    system.sql("INSERT INTO queue (name, paused_at) VALUES ('idle', now())")
    system.sql(
        "INSERT INTO outbox (task_id, queue, type, priority, is_due, is_parked, available_at)"
        " VALUES (0, 'idle', 'rare', 0, true, true, now())"
    )
    running = system.submit("sleep", {"seconds": 600})
    system.wait_for(running, "running")
    pages = [scrape(system.api_health_url), *(scrape(service.url) for service in (*started, *system.coordinators))]
    system.api.post(f"/tasks/{running}/cancel")
    return pages


def executors(worker: Service) -> list[psutil.Process]:
    children = psutil.Process(worker.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def declared() -> dict[str, set[str]]:
    """Return the labels of each declared metric by family name, including metrics without samples yet."""
    assert all((of_events, of_tasks))
    own = [one for one in REGISTRY._collector_to_names if getattr(one, "_name", "").startswith("taskcore_")]
    return {one._name: set(one._labelnames) for one in own}  # type: ignore[attr-defined]


def existing(pages: Iterable[str]) -> dict[str, set[str]]:
    """Return the labels of each exposed series by name."""
    found: dict[str, set[str]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            labels = {label for sample in family.samples for label in sample.labels} | declared().get(
                family.name, set()
            )
            for name in names_of_series(family.name, family.type):
                found.setdefault(name, set()).update(labels)
    return found


def names_of_series(family: str, kind: str) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return [family + suffix for suffix in suffixes.get(kind, [""])]


def test_every_query_uses_existing_series_and_labels(pages: list[str]) -> None:
    exist = existing(pages) | {"up": set()}

    asked = [(where, one) for where, query in queries() for one in find_nodes(query, promql_parser.VectorSelector)]

    assert len(asked) > 50
    assert [(where, one.name) for where, one in asked if one.name not in exist] == []
    for where, one in asked:
        chosen_by = {matcher.name for matcher in one.matchers.matchers}
        assert chosen_by <= exist[str(one.name)] | TARGET_LABELS, (where, str(one))


def test_every_query_aggregates_by_existing_labels(pages: list[str]) -> None:
    exist = existing(pages) | {"up": set()}

    sums = [(where, one) for where, query in queries() for one in find_nodes(query, promql_parser.AggregateExpr)]

    for where, one in sums:
        by = set(one.modifier.labels if one.modifier else ()) - TARGET_LABELS - {"le"}
        for selector in find_nodes(one.expr, promql_parser.VectorSelector):
            assert by <= exist[str(selector.name)], (where, str(one))


def test_every_declared_metric_is_exposed_by_some_process(pages: list[str]) -> None:
    exposed = {family.name.removesuffix("_total") for page in pages for family in text_string_to_metric_families(page)}

    assert set(declared()) <= exposed


def test_dashboard_asks_for_the_data_source_on_import() -> None:
    found = dashboard()

    assert (found["uid"], found["schemaVersion"] >= 36) == ("taskcore", True)
    assert [one["name"] for one in found["templating"]["list"]] == ["datasource", "namespace"]
    graphs = [panel for panel in found["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in graphs} == {"${datasource}"}
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])
    assert all(target["refId"] and target["legendFormat"] for panel in graphs for target in panel["targets"])


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in dashboard()["panels"])
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


def test_every_alert_has_a_runbook() -> None:
    runbook = (ROOT / "docs/metrics.md").read_text()

    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/metrics.md#{rule['alert'].lower()}"
        assert f"\n### {rule['alert']}\n" in runbook
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        kept = [
            one.modifier.labels
            for one in find_nodes(promql_parser.parse(rule["expr"]), promql_parser.AggregateExpr)
            if one.modifier is not None
        ]
        assert all(used <= set(labels) for labels in kept) or used <= TARGET_LABELS


def test_documentation_lists_every_metric_and_no_other(pages: list[str]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)

    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
    kinds = {name: kind for name, kind, _ in rows}

    exist = {name: labels - {"le"} for name, labels in existing(pages).items() if name.startswith("taskcore_")}
    families = {re.sub("_(bucket|sum|count)$", "", name): labels for name, labels in exist.items()}
    types = {f.name.removesuffix("_total"): f.type for page in pages for f in text_string_to_metric_families(page)}
    assert listed == families
    assert kinds == {name: types[name.removesuffix("_total")] for name in families}


def test_page_sums_executors_including_a_dead_one(worker: Service) -> None:
    seen = parse_series(scrape(worker.url))

    assert seen["taskcore_attempts_total{succeeded,noop}"] == 40
    assert seen["taskcore_enqueue_to_start_seconds_count{noop}"] == 40
    assert seen["taskcore_run_seconds_count{noop}"] == 40
    assert seen["taskcore_attempts_total{failed,flaky}"] == 1


def test_page_includes_the_supervisor(worker: Service) -> None:
    page = scrape(worker.url)

    seen = parse_series(page)
    assert seen["taskcore_executor_exits_total{crashed}"] == 1
    assert seen["taskcore_lease_losses_total{}"] == 0
    assert seen["process_resident_memory_bytes{}"] > 50_000_000
    heads = [line for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(set(heads)) == len(heads)


def test_lost_lease_is_counted(system: System, worker: Service) -> None:
    system.sql("DELETE FROM worker")

    eventually(lambda: parse_series(scrape(worker.url))["taskcore_lease_losses_total{}"] == 1)
    eventually(lambda: worker.is_ready)


def test_each_process_of_the_api_exposes_the_metrics_of_all(system: System) -> None:
    name = "taskcore_http_requests_total{GET,/api/v1/queues,200}"
    before = parse_series(scrape(system.api_health_url)).get(name, 0)
    for _ in range(30):
        assert httpx.get(f"{system.api.base_url}queues", trust_env=False).status_code == 200

    seen = [parse_series(scrape(system.api_health_url))[name] for _ in range(6)]

    assert seen == [before + 30] * 6


def test_coordinators_expose_task_counts(system: System, worker: Service) -> None:
    seen = parse_series(scrape(system.coordinators[0].url))

    assert seen["taskcore_workers_live{}"] >= 1
    assert seen["taskcore_queue_depth{default}"] == 0
    assert seen["taskcore_tasks{queued}"] == 0
