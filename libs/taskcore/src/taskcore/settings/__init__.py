"""All that an operator can set. `taskcore.settings.loading` describes where values come from."""

from taskcore.settings.amqp import AmqpTlsSettings
from taskcore.settings.api import ApiSettings
from taskcore.settings.collectors import (
    AlertRule,
    AlertSettings,
    AlertTask,
    CounterMetric,
    KubernetesSettings,
    QueryMetric,
)
from taskcore.settings.database_url import DatabaseUrl, Pooler, database_parameters
from taskcore.settings.field_types import Live
from taskcore.settings.loading import PREFIX, Layer, Settings, layer_of, load_settings
from taskcore.settings.observability import HealthSettings, LogSettings
from taskcore.settings.queues import QueueSettings
from taskcore.settings.retention import RetentionSettings
from taskcore.settings.task_types import CommandSettings, DatabaseSettings, HttpSettings, SmtpSettings
from taskcore.settings.tracing import TRACE_ID_PLACEHOLDER, TracingSettings
from taskcore.settings.worker import CoordinatorSettings, WorkerSettings

__all__ = [
    "PREFIX",
    "TRACE_ID_PLACEHOLDER",
    "AlertRule",
    "AlertSettings",
    "AlertTask",
    "AmqpTlsSettings",
    "ApiSettings",
    "CommandSettings",
    "CoordinatorSettings",
    "CounterMetric",
    "DatabaseSettings",
    "DatabaseUrl",
    "HealthSettings",
    "HttpSettings",
    "KubernetesSettings",
    "Layer",
    "Live",
    "LogSettings",
    "Pooler",
    "QueryMetric",
    "QueueSettings",
    "RetentionSettings",
    "Settings",
    "SmtpSettings",
    "TracingSettings",
    "WorkerSettings",
    "database_parameters",
    "layer_of",
    "load_settings",
]
