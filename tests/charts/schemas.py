"""Validation against Kubernetes' own schemas: would the API server accept an object?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

#: The oldest that the chart is for, and the newest whose schemas there are.
VERSIONS = ("1.29", "1.37")


def schema_errors(one: Mapping[str, Any], version: str) -> list[str]:
    """Return the errors of an object, including unknown fields.

    Raises:
        FileNotFoundError: for a kind that is none of Kubernetes'.
    """
    errors = _validator(one["apiVersion"], one["kind"], version).iter_errors(one)
    return [f"{error.json_path}: {error.message}" for error in errors]


@cache
def _validator(api_version: str, kind: str, version: str) -> Draft202012Validator:
    group, _, name = api_version.rpartition("/")
    file = "-".join(filter(None, (kind.lower(), group.partition(".")[0], name)))
    schema = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/{file}.json", version)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    contents = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/_definitions.json", version)
    definitions: Registry[Any] = Resource.from_contents(contents) @ Registry()
    return definitions
