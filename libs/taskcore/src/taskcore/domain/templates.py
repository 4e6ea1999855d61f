"""Templates: `$names` in the texts of a JSON value, how to validate them and how to render them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from string import Template
from typing import Any

Path = tuple[str | int, ...]


def render(value: Any, words: Mapping[str, str]) -> Any:
    """Return `value` with each `$name` in its texts replaced, and `$$` by a dollar sign. Object keys stay unchanged."""
    if isinstance(value, str):
        return Template(value).substitute(words)
    if isinstance(value, dict):
        return {key: render(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, words) for item in value]
    return value


def template_errors(value: Any, names: Collection[str]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each text that `render` could not render with values for `names`, and the reason."""
    for path, text in iter_texts(value):
        template = Template(text)
        if not template.is_valid():
            yield path, "has a $ that does not start a name: write $$ for a dollar sign"
        elif unknown := [name for name in template.get_identifiers() if name not in names]:
            yield path, f"uses unknown ${unknown[0]}; available: {', '.join(f'${name}' for name in names)}"


def has_variables(value: Any) -> bool:
    """Return whether `value` contains variables, so that its final form is unknown before it is rendered."""
    return any(Template(text).get_identifiers() for _, text in iter_texts(value))


def iter_texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield each text within `value`, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from iter_texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from iter_texts(item, (*path, index))
