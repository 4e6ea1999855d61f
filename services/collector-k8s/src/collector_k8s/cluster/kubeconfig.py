"""Which cluster is meant, and how to sign in there: by the service account of a pod, or by a kubeconfig."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME, SERVICE_TOKEN_FILENAME
from kubernetes.config.kube_config import ENV_KUBECONFIG_PATH_SEPARATOR, KubeConfigLoader, KubeConfigMerger

from taskcore.errors import InvalidSettings, TaskcoreError
from taskcore.settings import PREFIX, KubernetesSettings

KUBECONFIG_VARIABLE = "KUBECONFIG"
DEFAULT_KUBECONFIG = Path("~/.kube/config")

_SETTING = f"{PREFIX}KUBERNETES__KUBECONFIG"
_CONTEXT = f"{PREFIX}KUBERNETES__CONTEXT"
#: What the client's loader raises for documents that are no kubeconfigs.
_UNUSABLE = (config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError, KeyError, ValueError)


class NoClusterConfigured(TaskcoreError):
    """This is not a pod, and there is no kubeconfig."""


class UnusableKubeconfig(TaskcoreError):
    """The kubeconfig, or what it refers to, cannot be used at the moment."""


def is_configured(settings: KubernetesSettings) -> bool:
    """Whether this process was told of a cluster, by a setting or by running in a pod."""
    return settings.kubeconfig is not None or _is_in_pod()


def validate(settings: KubernetesSettings) -> None:
    """Refuse a kubeconfig that is not there, is none, or has not the context that is asked for.

    Raises:
        InvalidSettings: naming the setting.
    """
    if (found := _kubeconfig(settings)) is None:
        return
    name, files = found
    if not any(Path(file).expanduser().is_file() for file in files.split(ENV_KUBECONFIG_PATH_SEPARATOR)):
        raise InvalidSettings(f"{name}: there is no file {files!r}")
    try:
        merged = KubeConfigMerger(files).config
        contexts = [context["name"] for context in merged.value.get("contexts") or []]
        if settings.context is not None and settings.context not in contexts:
            known = ", ".join(map(str, contexts)) or "none"
            raise InvalidSettings(f"{_CONTEXT}: {files!r} has no context {settings.context!r}; it has: {known}")
        KubeConfigLoader(merged, active_context=settings.context)
    except _UNUSABLE as exc:
        raise InvalidSettings(f"{name}: {files!r} cannot be used: {_reason(exc)}") from exc


def load_configuration(settings: KubernetesSettings) -> Configuration:
    """How to reach the cluster, with everything read anew.

    Raises:
        NoCluster: none is meant.
        Unusable: it cannot be read now, which may pass.
    """
    configuration = Configuration()
    try:
        if settings.kubeconfig is None and _is_in_pod():
            config.load_incluster_config(client_configuration=configuration)
        elif (found := _kubeconfig(settings)) is not None:
            config.load_kube_config(found[1], settings.context, configuration, persist_config=False)
        else:
            raise NoClusterConfigured
    except _UNUSABLE as exc:
        raise UnusableKubeconfig(_reason(exc)) from exc
    configuration.retries = False  # urllib3 would wait and ask again by itself, deaf to whoever wants it to stop
    return configuration


def _kubeconfig(settings: KubernetesSettings) -> tuple[str, str] | None:
    """Who named it, and the file, or several as the variable has them. None: nobody, or the pod's cluster is meant."""
    if settings.kubeconfig is not None:
        return _SETTING, str(settings.kubeconfig)
    if _is_in_pod():
        return None
    if files := os.environ.get(KUBECONFIG_VARIABLE):
        return KUBECONFIG_VARIABLE, files
    default = DEFAULT_KUBECONFIG.expanduser()
    return (str(DEFAULT_KUBECONFIG), str(default)) if default.is_file() else None


def _is_in_pod() -> bool:
    return bool(os.environ.get(SERVICE_HOST_ENV_NAME)) and Path(SERVICE_TOKEN_FILENAME).is_file()


def _reason(exc: BaseException) -> str:
    return str(exc).strip().replace("\n", " ") or type(exc).__name__
