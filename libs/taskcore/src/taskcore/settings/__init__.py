"""All that an operator can set. `taskcore.settings.loading` describes where values come from."""

from taskcore.settings.collectors import (
    AlertRule,
    AlertSettings,
    AlertTask,
    AnalyticsSettings,
    CounterMetric,
    KubernetesSettings,
    QueryMetric,
)
from taskcore.settings.field_types import LIVE, Age, Identifier, Live, Port, Seconds
from taskcore.settings.loading import PREFIX, Layer, Settings, layer_of, load_settings, seconds
from taskcore.settings.processes import (
    ApiSettings,
    CoordinatorSettings,
    HealthSettings,
    LogSettings,
    RetentionSettings,
    TypeRetention,
    WorkerSettings,
)
from taskcore.settings.task_types import CommandSettings, DatabaseSettings, HttpSettings, SmtpSettings
from taskcore.settings.tracing import TRACE_ID_PLACEHOLDER, TracingSettings

__all__ = [
    "LIVE",
    "PREFIX",
    "TRACE_ID_PLACEHOLDER",
    "Age",
    "AlertRule",
    "AlertSettings",
    "AlertTask",
    "AnalyticsSettings",
    "ApiSettings",
    "CommandSettings",
    "CoordinatorSettings",
    "CounterMetric",
    "DatabaseSettings",
    "HealthSettings",
    "HttpSettings",
    "Identifier",
    "KubernetesSettings",
    "Layer",
    "Live",
    "LogSettings",
    "Port",
    "QueryMetric",
    "RetentionSettings",
    "Seconds",
    "Settings",
    "SmtpSettings",
    "TracingSettings",
    "TypeRetention",
    "WorkerSettings",
    "layer_of",
    "load_settings",
    "seconds",
]
