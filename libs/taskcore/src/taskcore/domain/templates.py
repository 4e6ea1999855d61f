"""Templates: `$names` in the texts of a JSON value, how to validate them and how to render them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from string import Template
from typing import Any

Path = tuple[str | int, ...]


def render(value: Any, words: Mapping[str, str]) -> Any:
    """Return `value` with each `$name` in its texts replaced, and `$$` by a dollar sign. Object keys stay unchanged."""
    return map_texts(value, lambda _, text: Template(text).substitute(words))


def map_texts(value: Any, change: Callable[[Path, str], str], path: Path = ()) -> Any:
    """Return `value` with each text within it replaced by what `change` makes of its path and the text."""
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, dict):
        return {key: map_texts(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [map_texts(item, change, (*path, index)) for index, item in enumerate(value)]
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
    return any(True for _ in iter_variables(value))


def iter_variables(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield the path and the name of each variable in the texts of `value`."""
    for path, text in iter_texts(value):
        for name in Template(text).get_identifiers():
            yield path, name


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
