"""Sets of values that tests render."""

from __future__ import annotations

from tests.charts.rendering import Values, merge_values

#: The least that an installation needs.
PRODUCTION: Values = {
    "global": {"database": {"existingSecret": "our-postgresql"}, "amqp": {"existingSecret": "our-rabbitmq"}}
}
#: What one installs to try it.
DEVELOPMENT: Values = {"global": {"database": {"development": True}, "amqp": {"development": True}}}

_PROMETHEUS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
_FOR_EACH: Values = {
    "podLabels": {"team": "tasks"},
    "podAnnotations": {"note": "ours"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "tasks", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "high",
    "serviceAccountAnnotations": {"role": "ours"},
    "settingsSecret": "more-settings",
    "config": {"retention": {"succeeded_s": 86_400}},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraVolumes": [{"name": "authorities", "configMap": {"name": "authorities"}}],
    "extraVolumeMounts": [{"name": "authorities", "mountPath": "/etc/authorities", "readOnly": True}],
    "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
}
#: Whatever can be switched on together.
EVERYTHING: Values = merge_values(
    PRODUCTION,
    dict.fromkeys(("api", "coordinator", "worker", "collector-analytics", "collector-k8s"), _FOR_EACH),
    {
        "global": {
            "image": {"registry": "registry.example.com/team", "tag": "1.2.3", "pullSecrets": ["pull"]},
            "tracing": {
                "endpoint": "http://jaeger:4318",
                "queryUrl": "https://jaeger/api/v3/traces/{trace_id}",
                "headersSecret": "headers",
            },
            "traceUrlTemplate": "https://jaeger.example.com/trace/{trace_id}",
            "config": {"http": {"max_body_bytes": 200_000}},
            "extraEnv": [{"name": "NO_PROXY", "value": "10.0.0.0/8"}],
            "networkPolicy": {"metricsFrom": _PROMETHEUS, "databaseTo": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]},
            "monitoring": {
                "monitors": True,
                "rules": True,
                "dashboard": True,
                "labels": {"release": "kube-prometheus-stack"},
            },
        },
        "api": {
            "autoscaling": {"enabled": True},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "tasks.example.com",
                "tlsSecret": "tls",
                "annotations": {"nginx.ingress.kubernetes.io/auth-type": "basic"},
            },
        },
        "worker": {
            "keda": {"enabled": True, "serverAddress": "http://prometheus:9090"},
            "queues": ["default", "mail"],
            "openEgress": False,
        },
        "collector-k8s": {"namespaces": ["shop", "mail"], "readPods": True},
    },
)
#: CPU instead of the backlog, and policies off: what EVERYTHING leaves out.
PLAIN: Values = merge_values(
    DEVELOPMENT,
    {
        "global": {"networkPolicy": {"enabled": False}, "monitoring": {"monitors": True}},
        "worker": {"autoscaling": {"enabled": True}},
        "postgresql": {"storageClass": "fast"},
        "collector-k8s": {"readPods": True},
    },
)
VALUE_SETS = {"production": PRODUCTION, "development": DEVELOPMENT, "everything": EVERYTHING, "plain": PLAIN}
