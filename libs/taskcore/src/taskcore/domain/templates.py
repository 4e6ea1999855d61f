"""Texts with `$names` in them, anywhere within a JSON value: what is wrong with them, and the value filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from string import Template
from typing import Any

Path = tuple[str | int, ...]


def render(value: Any, words: Mapping[str, str]) -> Any:
    """`value` with each `$name` in its texts replaced, and `$$` by a dollar sign. Names of members stay as they are."""
    if isinstance(value, str):
        return Template(value).substitute(words)
    if isinstance(value, dict):
        return {key: render(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, words) for item in value]
    return value


def template_errors(value: Any, names: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The path of each text that `fill` could not fill in with words for `names`, and why."""
    for path, text in iter_texts(value):
        template = Template(text)
        if not template.is_valid():
            yield path, "has a $ that begins no name: write $$ for a dollar sign"
        elif unknown := [name for name in template.get_identifiers() if name not in names]:
            yield path, f"knows no ${unknown[0]}; there are {', '.join(f'${name}' for name in names)}"


def has_variables(value: Any) -> bool:
    """Whether what `value` will be is not known before it is filled in."""
    return any(Template(text).get_identifiers() for _, text in iter_texts(value))


def iter_texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Each text within `value`, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from iter_texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from iter_texts(item, (*path, index))
