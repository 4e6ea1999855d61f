"""Which cluster is meant; what is not there is said when the collector starts, with the setting's name."""

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
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a pod nor a machine with a kubeconfig."""
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


def test_a_kubeconfig_says_where_the_cluster_is(tmp_path: Path) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config"), context="work")

    validate(settings)

    assert is_configured(settings)
    assert load_configuration(settings).host == "http://127.0.0.1:1"
    assert load_configuration(settings).api_key == {"BearerToken": "Bearer secret"}


def test_without_a_setting_the_usual_kubeconfig_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(
        tmp_path / "home" / ".kube" / "config", clusters=[{"name": "one", "cluster": {"server": "http://usual"}}]
    )
    assert load_configuration(KubernetesSettings()).host == "http://usual"

    kubeconfig(tmp_path / "other", clusters=[{"name": "one", "cluster": {"server": "http://other"}}])
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{tmp_path / 'other'}")
    validate(KubernetesSettings())
    assert load_configuration(KubernetesSettings()).host == "http://other"
    assert not is_configured(KubernetesSettings())


def test_no_cluster_is_no_fault_of_the_settings() -> None:
    validate(KubernetesSettings())

    with pytest.raises(NoClusterConfigured, match="not a pod, and there is no kubeconfig"):
        ClusterClient(KubernetesSettings())


def test_a_kubeconfig_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match=r"TASKCORE_KUBERNETES__KUBECONFIG: there is no file '.*missing'"):
        validate(KubernetesSettings(kubeconfig=tmp_path / "missing"))

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(InvalidSettings, match="KUBECONFIG: there is no file"):
        validate(KubernetesSettings())


def test_a_context_that_is_not_there_is_refused(tmp_path: Path) -> None:
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
def test_a_kubeconfig_that_leads_nowhere_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config", **changes))

    with pytest.raises(InvalidSettings, match=r"TASKCORE_KUBERNETES__KUBECONFIG: .* cannot be used"):
        validate(settings)


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words", "{", "a: [", "\0"])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)

    with pytest.raises(InvalidSettings, match=r"TASKCORE_KUBERNETES__KUBECONFIG: .* cannot be used"):
        validate(KubernetesSettings(kubeconfig=file))


def test_what_the_kubeconfig_refers_to_may_come_later(tmp_path: Path) -> None:
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "config"))
    (tmp_path / "token").unlink()

    validate(settings)

    with pytest.raises(UnusableKubeconfig, match="token"):
        ClusterClient(settings)
    (tmp_path / "token").write_text("later")
    assert load_configuration(settings).api_key == {"BearerToken": "Bearer later"}


@pytest.mark.parametrize("selector", ["type", "=Warning", "type=Warning,", "type Warning", "type=a=b", ""])
def test_a_field_selector_that_is_none_is_refused(selector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_KUBERNETES__FIELD_SELECTOR", selector)

    with pytest.raises(InvalidSettings, match="TASKCORE_KUBERNETES__FIELD_SELECTOR"):
        load_settings()


@pytest.mark.parametrize("selector", ["type=Warning", "involvedObject.kind!=Node, reason==a\\,b", "reason="])
def test_a_field_selector_is_taken_as_it_is(selector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_KUBERNETES__FIELD_SELECTOR", selector)

    assert load_settings().kubernetes.field_selector == selector


def test_the_process_says_which_setting_is_wrong_and_ends(tmp_path: Path) -> None:
    given = {"TASKCORE_KUBERNETES__KUBECONFIG": str(tmp_path / "missing"), "TASKCORE_HEALTH__PORT": "0", "PATH": ""}

    done = subprocess.run(
        [sys.executable, "-m", "collector_k8s"], env=given, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2
    assert done.stderr.startswith("collector-k8s: TASKCORE_KUBERNETES__KUBECONFIG: there is no file")
