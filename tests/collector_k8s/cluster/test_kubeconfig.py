"""The choice of the cluster, and the errors for invalid settings when the collector starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.cluster.kubeconfig import (
    NoClusterConfigured,
    UnusableKubeconfig,
    is_configured,
    load_configuration,
    validate,
)
from taskcore.errors import InvalidSettings
from taskcore.settings import KubernetesSettings, load_settings


@pytest.fixture(autouse=True)
def no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run neither in a pod nor with a kubeconfig."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(variable, raising=False)


def kubeconfig(path: Path, **changes: Any) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {"tokenFile": str(path.parent / "token")}}],
        "contexts": [{"name": name, "context": {"cluster": "one", "user": "me"}} for name in ("home", "work")],
        "current-context": "home",
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    (path.parent / "token").write_text("secret")
    return path


def test_a_kubeconfig_gives_address_and_credentials(tmp_path: Path) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config"), context="work")

    validate(settings)

    assert is_configured(settings)
    assert load_configuration(settings).host == "http://127.0.0.1:1"
    assert load_configuration(settings).api_key == {"BearerToken": "Bearer secret"}


def test_the_default_kubeconfig_is_used_without_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(
        tmp_path / "home" / ".kube" / "config", clusters=[{"name": "one", "cluster": {"server": "http://usual"}}]
    )
    assert load_configuration(KubernetesSettings()).host == "http://usual"

    kubeconfig(tmp_path / "other", clusters=[{"name": "one", "cluster": {"server": "http://other"}}])
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{tmp_path / 'other'}")
    validate(KubernetesSettings())
    assert load_configuration(KubernetesSettings()).host == "http://other"
    assert not is_configured(KubernetesSettings())


def test_settings_without_a_cluster_are_valid() -> None:
    validate(KubernetesSettings())

    with pytest.raises(NoClusterConfigured, match="does not run in a pod, and there is no kubeconfig"):
        ClusterClient(KubernetesSettings())


def test_a_missing_kubeconfig_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match=r"TASKCORE_KUBERNETES__KUBECONFIG: no such file: '.*missing'"):
        validate(KubernetesSettings(kubeconfig=tmp_path / "missing"))

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(InvalidSettings, match="KUBECONFIG: no such file:"):
        validate(KubernetesSettings())


def test_a_missing_context_is_refused(tmp_path: Path) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config"), context="moon")

    with pytest.raises(
        InvalidSettings, match=r"TASKCORE_KUBERNETES__CONTEXT: .* no context 'moon'; it has: home, work"
    ):
        validate(settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"current-context": "moon"},
        {"current-context": ""},
        {"contexts": None},
        {"contexts": [{"name": "home", "context": {"cluster": "two", "user": "me"}}]},
        {"clusters": []},
    ],
)
def test_an_inconsistent_kubeconfig_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config", **changes))

    with pytest.raises(InvalidSettings, match=r"TASKCORE_KUBERNETES__KUBECONFIG: .* cannot be used"):
        validate(settings)


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words", "{", "a: [", "\0"])
def test_another_file_than_a_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)

    with pytest.raises(InvalidSettings, match=r"TASKCORE_KUBERNETES__KUBECONFIG: .* cannot be used"):
        validate(KubernetesSettings(kubeconfig=file))


def test_files_of_the_kubeconfig_may_appear_later(tmp_path: Path) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config"))
    (tmp_path / "token").unlink()

    validate(settings)

    with pytest.raises(UnusableKubeconfig, match="token"):
        ClusterClient(settings)
    (tmp_path / "token").write_text("later")
    assert load_configuration(settings).api_key == {"BearerToken": "Bearer later"}


@pytest.mark.parametrize("selector", ["type", "=Warning", "type=Warning,", "type Warning", "type=a=b", ""])
def test_a_malformed_field_selector_is_refused(selector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_KUBERNETES__FIELD_SELECTOR", selector)

    with pytest.raises(InvalidSettings, match="TASKCORE_KUBERNETES__FIELD_SELECTOR"):
        load_settings()


@pytest.mark.parametrize("selector", ["type=Warning", "involvedObject.kind!=Node, reason==a\\,b", "reason="])
def test_a_valid_field_selector_is_kept(selector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_KUBERNETES__FIELD_SELECTOR", selector)

    assert load_settings().kubernetes.field_selector == selector


def test_the_process_exits_with_the_name_of_the_invalid_setting(tmp_path: Path) -> None:
    env = {"TASKCORE_KUBERNETES__KUBECONFIG": str(tmp_path / "missing"), "TASKCORE_HEALTH__PORT": "0", "PATH": ""}

    done = subprocess.run([sys.executable, "-m", "collector_k8s"], env=env, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("collector-k8s: TASKCORE_KUBERNETES__KUBECONFIG: no such file:")
