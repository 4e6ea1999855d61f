"""The settings of the collectors: what is measured, which cluster is read, and what is worth an alert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from taskcore.domain import alerts, templates
from taskcore.domain.documents import check_document
from taskcore.domain.tasks import DEFAULT_QUEUE
from taskcore.errors import InvalidDocument
from taskcore.settings.field_types import LIVE, Age, Identifier, Seconds, Section


class QueryMetric(Section):
    """A metric that a query measures, by its name under `analytics.queries`.

    `database` is one of `databases`. The query answers one number, or in each row a label and a number; `label` is the
    label's name.
    """

    database: Identifier
    sql: Annotated[str, Field(min_length=1)]
    label: Identifier = "label"
    description: str = ""
    timeout_s: Seconds = 60


class CounterMetric(Section):
    """A metric that a JSON document has, by its name under `analytics.counters`.

    `pointer` (RFC 6901) leads to a number, or to an object whose members are numbers: then each member's name is the
    value of the label `label`. The URL may be one inside of the network: it is the operator who set it.
    """

    url: Annotated[str, Field(pattern=r"^https?://")]
    pointer: Annotated[str, Field(pattern=r"^(/([^~]|~[01])*)?$")] = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    label: Identifier = "label"
    description: str = ""
    timeout_s: Seconds = 30


class AnalyticsSettings(Section):
    """`interval_s`: how often is measured, and how long a bucket is.

    `queries` and `counters` (JSON objects) are the operator's own metrics, by their names: see docs/analytics.md.
    """

    interval_s: Annotated[Annotated[float, Field(ge=1, le=86_400)], LIVE] = 1_800
    queries: dict[Identifier, QueryMetric] = Field(default_factory=dict)
    counters: dict[Identifier, CounterMetric] = Field(default_factory=dict)


#: `type=Warning,involvedObject.kind!=Node`: which fields there are is known to the cluster alone.
SELECTOR = r"^[A-Za-z][\w./-]*\s*(==|=|!=)([^,=\\]|\\.)*(,\s*[A-Za-z][\w./-]*\s*(==|=|!=)([^,=\\]|\\.)*)*$"


class KubernetesSettings(Section):
    """Which cluster's events are collected. In a pod that is its own cluster, unless `kubeconfig` names another.

    `cluster` is the name that its events are kept under. `namespaces` (JSON list), `field_selector` and `reasons` (JSON
    list) limit what is collected; empty: everything. `api`: which of the two shapes of events is asked for.
    `bookmark_interval_s`: how often the cluster says at the latest that it is still there, if only by ending the watch; after
    twice that the watch counts as deaf. `watch_timeout_s`: how long a watch lasts, where that is shorter. `event_ttl_s`: how
    long the cluster keeps events. `buffer`: how many events may wait to be stored before reading pauses.
    `max_events_per_minute`: what more of one reason in a namespace comes in a minute is only counted.
    `read_pods`: look up the label `taskcore.io/task-id` of pods, which needs the right to get them.
    """

    cluster: Identifier = "default"
    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[Identifier, ...] = ()
    field_selector: Annotated[str | None, Field(pattern=SELECTOR)] = None
    reasons: tuple[str, ...] = ()
    api: Literal["v1", "events.k8s.io/v1"] = "v1"
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    watch_timeout_s: Seconds = 300
    bookmark_interval_s: Seconds = 60
    relist_interval_s: Seconds = 300
    event_ttl_s: Seconds = 3_600
    buffer: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    max_events_per_minute: Annotated[int, Field(ge=1)] = 10_000
    read_pods: bool = False


class AlertTask(Section):
    """The task that is submitted when an alert opens.

    In the texts of `name` and `parameters` `$cluster`, `$namespace`, `$kind`, `$object`, `$reason`, `$type`, `$message`
    and `$rule` stand for what the alert is about; `$$` is a dollar sign.
    """

    type: Identifier
    name: Annotated[str, Field(min_length=1, max_length=255)] = "$rule: $reason"
    parameters: dict[str, Any] = Field(default_factory=dict)
    queue: Identifier = DEFAULT_QUEUE
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 4

    @field_validator("name", "parameters")
    @classmethod
    def check_templates(cls, value: Any) -> Any:
        """It is refused when it is given, for when an alert opens it is too late."""
        try:
            check_document(value)
        except InvalidDocument as exc:
            raise _template_error(exc.path, exc.message) from exc
        for path, why in templates.template_errors(value, alerts.TEMPLATE_VARIABLES):
            raise _template_error(path, why)
        return value


def _template_error(path: templates.Path, why: str) -> PydanticCustomError:
    where = ".".join(map(str, path))
    return PydanticCustomError("template", "{fault}", {"fault": f"{where}: {why}" if where else why})


class AlertRule(Section):
    """Which events raise an alert: those that match each list that is not empty. The first rule that matches counts."""

    name: Identifier
    types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    task: AlertTask | None = None


DEFAULT_RULES = (
    AlertRule(name="oom_killed", reasons=("OOMKilled", "OOMKilling")),
    AlertRule(name="failed_scheduling", reasons=("FailedScheduling",)),
    AlertRule(name="pod_failed", kinds=("Pod",), reasons=("Failed",)),
    AlertRule(name="warning", types=("Warning",)),
)


def _check_unique_names(rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PydanticCustomError("twice", "two rules are named {name}", {"name": twice[0]})
    return rules


class AlertSettings(Section):
    """`rules` (JSON list) say which events raise an alert.

    `resolve_after_s`: after so long without one, of a cluster that could be heard, it is resolved; null,
    which can be set live: by hand only.
    """

    rules: Annotated[tuple[AlertRule, ...], AfterValidator(_check_unique_names), LIVE] = DEFAULT_RULES
    resolve_after_s: Annotated[Age, LIVE] = 86_400
