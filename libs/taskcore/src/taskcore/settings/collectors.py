"""Settings of the collectors: what is measured, which cluster is watched, and which events raise an alert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from taskcore.domain import alerts, templates
from taskcore.domain.documents import check_document
from taskcore.domain.tasks import DEFAULT_QUEUE
from taskcore.errors import InvalidDocument
from taskcore.settings.field_types import LIVE, Age, Identifier, QueueName, Seconds, Section


class QueryMetric(Section):
    """A metric that a query measures, by its name under `analytics.queries`."""

    database: Identifier
    """Name of one of `databases`."""
    sql: Annotated[str, Field(min_length=1)]
    """Query that returns one number, or a label and a number in each row."""
    label: Identifier = "label"
    """Name of the label."""
    description: str = ""
    """What the metric means."""
    timeout_s: Seconds = 60
    """Timeout of the query."""


class CounterMetric(Section):
    """A metric that is read from a JSON document, by its name under `analytics.counters`."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    """Where the document is. The URL may lead into the private network, because an operator sets it."""
    pointer: Annotated[str, Field(pattern=r"^(/([^~]|~[01])*)?$")] = ""
    """JSON pointer (RFC 6901) to a number, or to an object of numbers, whose keys then are values of `label`."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers of the request."""
    label: Identifier = "label"
    """Name of the label."""
    description: str = ""
    """What the metric means."""
    timeout_s: Seconds = 30
    """Timeout of the request."""


class AnalyticsSettings(Section):
    """What `collector-analytics` measures, beside the metrics of Taskcore and of plugins."""

    interval_s: Annotated[Annotated[float, Field(ge=1, le=86_400)], LIVE] = 1_800
    """Interval between measurements, which is also the length of a time bucket."""
    queries: dict[Identifier, QueryMetric] = Field(default_factory=dict)
    """Metrics that SQL queries measure, by name."""
    counters: dict[Identifier, CounterMetric] = Field(default_factory=dict)
    """Metrics that are read from JSON documents, by name."""


#: Such as `type=Warning,involvedObject.kind!=Node`. Only the cluster knows which fields exist.
SELECTOR = r"^[A-Za-z][\w./-]*\s*(==|=|!=)([^,=\\]|\\.)*(,\s*[A-Za-z][\w./-]*\s*(==|=|!=)([^,=\\]|\\.)*)*$"


class KubernetesSettings(Section):
    """Which cluster `collector-k8s` watches: its own in a pod, unless `kubeconfig` names another."""

    cluster: Identifier = "default"
    """Name under which the events are stored."""
    kubeconfig: Path | None = None
    """Path of a kubeconfig file."""
    context: str | None = None
    """Context in that file; its current one by default."""
    strict_certificates: bool = False
    """Whether certificates of the cluster must follow RFC 5280 to the letter. kubectl does not demand it, and the
    authority of some clusters does not. Chain, expiry and host name are always checked.
    """
    namespaces: tuple[Identifier, ...] = ()
    """Namespaces to watch; all when empty."""
    field_selector: Annotated[str | None, Field(pattern=SELECTOR)] = None
    """Field selector that events must match."""
    reasons: tuple[str, ...] = ()
    """Reasons that events must have; all when empty."""
    api: Literal["v1", "events.k8s.io/v1"] = "v1"
    """API group whose events are read."""
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Events in one page of a list."""
    watch_timeout_s: Seconds = 300
    """How long a watch may last, where that is less than `bookmark_interval_s`."""
    bookmark_interval_s: Seconds = 60
    """How often the cluster gives a sign of life, if only by ending the watch. After twice this time without one the
    watch is stale.
    """
    relist_interval_s: Seconds | None = 300
    """Interval between lists of all events, which find what a watch missed. It grows where a list takes long. Null
    turns them off, which spares a cluster with many events.
    """
    event_ttl_s: Seconds = 3_600
    """How long the cluster keeps events."""
    buffer: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """How many events may wait to be stored before reading pauses."""
    max_events_per_minute: Annotated[int, Field(ge=1)] = 10_000
    """How many events of one reason and namespace are stored in a minute; more are counted."""
    read_pods: bool = False
    """Whether to read pods, which needs the right to get them: their label `taskcore.io/task-id`, and whether a
    container that was restarted had been killed for memory.
    """


class AlertTask(Section):
    """The task that is submitted when an alert opens.

    In `name` and in the texts of `parameters`, `$cluster`, `$namespace`, `$kind`, `$object`, `$reason`, `$type`,
    `$message` and `$rule` are replaced by those of the alert. `$$` is a dollar sign.
    """

    type: Identifier
    name: Annotated[str, Field(min_length=1, max_length=255)] = "$rule: $reason"
    parameters: dict[str, Any] = Field(default_factory=dict)
    queue: QueueName = DEFAULT_QUEUE
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 4

    @field_validator("name", "parameters")
    @classmethod
    def check_templates(cls, value: Any) -> Any:
        """Refuse a template that could not be filled in once an alert opens."""
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
    """Which events raise an alert: those that match every list that is not empty. The first matching rule applies."""

    name: Identifier
    """Name of the rule, which must be unique."""
    types: tuple[str, ...] = ()
    """Event types."""
    kinds: tuple[str, ...] = ()
    """Kinds of the involved object."""
    reasons: tuple[str, ...] = ()
    """Event reasons."""
    namespaces: tuple[str, ...] = ()
    """Namespaces of the involved object."""
    min_count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How often such an event must have happened. While it has not, no later rule takes it either."""
    task: AlertTask | None = None
    """Task to submit when an alert opens."""


#: A pod that starts or stops fails a few probes, so that only a row of failures is worth an alert.
DEFAULT_RULES = (
    AlertRule(name="oom_killed", reasons=("OOMKilled", "OOMKilling", "SystemOOM")),
    AlertRule(name="failed_scheduling", reasons=("FailedScheduling",)),
    AlertRule(name="pod_failed", kinds=("Pod",), reasons=("Failed",)),
    AlertRule(name="unhealthy", reasons=("Unhealthy",), min_count=5),
    AlertRule(name="warning", types=("Warning",)),
)


def _check_unique_names(rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PydanticCustomError("twice", "two rules are named {name}", {"name": twice[0]})
    return rules


class AlertSettings(Section):
    """Alerts about Kubernetes events."""

    rules: Annotated[tuple[AlertRule, ...], AfterValidator(_check_unique_names), LIVE] = DEFAULT_RULES
    """Which events raise an alert."""
    max_per_minute: Annotated[Annotated[int, Field(ge=1, le=10_000)], LIVE] = 10
    """How many alerts a rule may open in a minute. Further ones are grouped by kind and reason: a group is one alert
    with one task.
    """
    resolve_after_s: Annotated[Age, LIVE] = 86_400
    """How long after the last matching event an alert is resolved, as long as the cluster can be watched. Null, which
    can be set live, leaves resolving to people.
    """
