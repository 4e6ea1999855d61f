"""The dependencies of Taskcore's packages, by their metadata, and the contents of the lock files."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.containers.dockerfiles import ROOT

#: The images' interpreter, whatever runs the tests.
IN_IMAGE = {
    "python_version": "3.13",
    "python_full_version": "3.13.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}


def locked_versions(name: str) -> dict[str, str]:
    """Return the versions by name in `requirements/NAME.txt` for the platform of the images."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = re.findall(r"^([^\s=]+)==(\S+)(?: ; (.*?))? \\$", text, flags=re.MULTILINE)
    return {name: version for name, version, marker in found if not marker or _holds(marker, "")}


def required_packages(service: str) -> set[str]:
    """Return the direct and transitive dependencies of a service, without Taskcore's own packages."""
    own = _own_packages()
    start = canonicalize_name(tomllib.loads(_text(f"services/{service}"))["project"]["name"])
    seen: set[tuple[str, str]] = set()
    waiting = [(start, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in own[name] if name in own else metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or _holds(str(requirement.marker), extra):
                waiting += [(canonicalize_name(requirement.name), one) for one in ("", *requirement.extras)]
    return {name for name, _ in seen} - own.keys()


def _holds(marker: str, extra: str) -> bool:
    return Marker(marker).evaluate({**IN_IMAGE, "extra": extra})


def _own_packages() -> dict[str, list[str]]:
    """Return the requirements of each own package, with extras as in package metadata."""
    found: dict[str, list[str]] = {}
    for file in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        project = tomllib.loads(file.read_text())["project"]
        optional = project.get("optional-dependencies", {})
        extras = [f'{one} ; extra == "{extra}"' for extra, needed in optional.items() for one in needed]
        found[canonicalize_name(project["name"])] = [*project["dependencies"], *extras]
    return found


def _text(package: str) -> str:
    return (ROOT / package / "pyproject.toml").read_text()
