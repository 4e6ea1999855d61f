"""The choice of the cluster and its credentials: a pod's service account or a kubeconfig file."""

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
#: What the client's loader raises for a file that is not a kubeconfig.
_LOADER_ERRORS = (config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError, KeyError, ValueError)


class NoClusterConfigured(TaskcoreError):
    """This process does not run in a pod, and there is no kubeconfig."""


class UnusableKubeconfig(TaskcoreError):
    """The kubeconfig, or a file that it refers to, cannot be used at the moment."""


def is_configured(settings: KubernetesSettings) -> bool:
    """Return whether a cluster is given by the settings, or by running in a pod."""
    return settings.kubeconfig is not None or _is_in_pod()


def validate(settings: KubernetesSettings) -> None:
    """Check that the kubeconfig, if one is given, exists, can be parsed and has the wanted context.

    Raises `InvalidSettings` with the name of the setting.
    """
    if (found := _find_kubeconfig(settings)) is None:
        return
    source, files = found
    if not any(Path(file).expanduser().is_file() for file in files.split(ENV_KUBECONFIG_PATH_SEPARATOR)):
        raise InvalidSettings(f"{source}: no such file: {files!r}")
    try:
        merged = KubeConfigMerger(files).config
        contexts = [context["name"] for context in merged.value.get("contexts") or []]
        if settings.context is not None and settings.context not in contexts:
            known = ", ".join(map(str, contexts)) or "none"
            raise InvalidSettings(f"{_CONTEXT}: {files!r} has no context {settings.context!r}; it has: {known}")
        KubeConfigLoader(merged, active_context=settings.context)
    except _LOADER_ERRORS as exc:
        raise InvalidSettings(f"{source}: {files!r} cannot be used: {_message(exc)}") from exc


def load_configuration(settings: KubernetesSettings) -> Configuration:
    """Return the address and the credentials of the cluster, freshly read from their files.

    Raises:
        NoClusterConfigured: there is neither a kubeconfig nor a pod's service account.
        UnusableKubeconfig: a file cannot be read at the moment.
    """
    configuration = Configuration()
    try:
        if settings.kubeconfig is None and _is_in_pod():
            config.load_incluster_config(client_configuration=configuration)
        elif (found := _find_kubeconfig(settings)) is not None:
            config.load_kube_config(found[1], settings.context, configuration, persist_config=False)
        else:
            raise NoClusterConfigured
    except _LOADER_ERRORS as exc:
        raise UnusableKubeconfig(_message(exc)) from exc
    configuration.retries = False  # urllib3 would sleep and retry on its own, and could not be stopped meanwhile
    return configuration


def _find_kubeconfig(settings: KubernetesSettings) -> tuple[str, str] | None:
    """Return where the kubeconfig is named and its path, or several paths in the syntax of `KUBECONFIG`.

    `None` means that there is none, or that the pod's own cluster is to be used.
    """
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


def _message(exc: BaseException) -> str:
    return str(exc).strip().replace("\n", " ") or type(exc).__name__
