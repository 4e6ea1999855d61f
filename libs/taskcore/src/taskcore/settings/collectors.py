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
from taskcore.settings.field_types import LIVE, Age, Identifier, Seconds, Section


class QueryMetric(Section):
    """A metric that a query measures, by its name under `analytics.queries`.

    Attributes:
        database: Name of one of `databases`.
        sql: Query that returns one number, or a label and a number in each row.
        label: Name of the label.
        description: What the metric means.
        timeout_s: Timeout of the query.
    """

    database: Identifier
    sql: Annotated[str, Field(min_length=1)]
    label: Identifier = "label"
    description: str = ""
    timeout_s: Seconds = 60


class CounterMetric(Section):
    """A metric that is read from a JSON document, by its name under `analytics.counters`.

    Attributes:
        url: Where the document is. The URL may lead into the private network, because an operator sets it.
        pointer: JSON pointer (RFC 6901) to a number, or to an object of numbers, whose keys then are values of `label`.
        headers: Headers of the request.
        label: Name of the label.
        description: What the metric means.
        timeout_s: Timeout of the request.
    """

    url: Annotated[str, Field(pattern=r"^https?://")]
    pointer: Annotated[str, Field(pattern=r"^(/([^~]|~[01])*)?$")] = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    label: Identifier = "label"
    description: str = ""
    timeout_s: Seconds = 30


class AnalyticsSettings(Section):
    """What `collector-analytics` measures, beside the metrics of Taskcore and of plugins.

    Attributes:
        interval_s: Interval between measurements, which is also the length of a time bucket.
        queries: Metrics that SQL queries measure, by name.
        counters: Metrics that are read from JSON documents, by name.
    """

    interval_s: Annotated[Annotated[float, Field(ge=1, le=86_400)], LIVE] = 1_800
    queries: dict[Identifier, QueryMetric] = Field(default_factory=dict)
    counters: dict[Identifier, CounterMetric] = Field(default_factory=dict)


#: Such as `type=Warning,involvedObject.kind!=Node`. Only the cluster knows which fields exist.
SELECTOR = r"^[A-Za-z][\w./-]*\s*(==|=|!=)([^,=\\]|\\.)*(,\s*[A-Za-z][\w./-]*\s*(==|=|!=)([^,=\\]|\\.)*)*$"


class KubernetesSettings(Section):
    """Which cluster `collector-k8s` watches: its own in a pod, unless `kubeconfig` names another.

    Attributes:
        cluster: Name under which the events are stored.
        kubeconfig: Path of a kubeconfig file.
        context: Context in that file; its current one by default.
        namespaces: Namespaces to watch; all when empty.
        field_selector: Field selector that events must match.
        reasons: Reasons that events must have; all when empty.
        api: API group whose events are read.
        page_size: Events in one page of a list.
        watch_timeout_s: How long a watch may last, where that is less than `bookmark_interval_s`.
        bookmark_interval_s: How often the cluster gives a sign of life, if only by ending the watch. After twice this
            time without one the watch is stale.
        relist_interval_s: Interval between lists, which find what a watch missed.
        event_ttl_s: How long the cluster keeps events.
        buffer: How many events may wait to be stored before reading pauses.
        max_events_per_minute: How many events of one reason and namespace are stored in a minute; more are counted.
        read_pods: Whether to read the label `taskcore.io/task-id` of pods, which needs the right to get them.
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

    In `name` and in the texts of `parameters`, `$cluster`, `$namespace`, `$kind`, `$object`, `$reason`, `$type`,
    `$message` and `$rule` are replaced by those of the alert. `$$` is a dollar sign.
    """

    type: Identifier
    name: Annotated[str, Field(min_length=1, max_length=255)] = "$rule: $reason"
    parameters: dict[str, Any] = Field(default_factory=dict)
    queue: Identifier = DEFAULT_QUEUE
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
    """Which events raise an alert: those that match every list that is not empty. The first matching rule applies.

    Attributes:
        name: Name of the rule, which must be unique.
        types: Event types.
        kinds: Kinds of the involved object.
        reasons: Event reasons.
        namespaces: Namespaces of the involved object.
        task: Task to submit when an alert opens.
    """

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
    """Alerts about Kubernetes events.

    Attributes:
        rules: Which events raise an alert.
        resolve_after_s: How long after the last matching event an alert is resolved, as long as the cluster can be
            watched. Null, which can be set live, leaves resolving to people.
    """

    rules: Annotated[tuple[AlertRule, ...], AfterValidator(_check_unique_names), LIVE] = DEFAULT_RULES
    resolve_after_s: Annotated[Age, LIVE] = 86_400
