"""What an operator can set: see `taskcore.settings.loading` for where from."""

from taskcore.settings.collectors import (
    AlertRule,
    AlertSettings,
    AlertTask,
    AnalyticsSettings,
    CounterMetric,
    KubernetesSettings,
    QueryMetric,
)
from taskcore.settings.loading import PREFIX, Layer, Settings, layer_of, load_settings, seconds
from taskcore.settings.marks import LIVE, Age, Identifier, Live, Port, Seconds
from taskcore.settings.processes import (
    ApiSettings,
    CoordinatorSettings,
    HealthSettings,
    LogSettings,
    RetentionSettings,
    TypeRetention,
    WorkerSettings,
)
from taskcore.settings.tracing import TRACE_ID, TracingSettings
from taskcore.settings.types import CommandSettings, DatabaseSettings, HttpSettings, SmtpSettings

__all__ = [
    "LIVE",
    "PREFIX",
    "TRACE_ID",
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
