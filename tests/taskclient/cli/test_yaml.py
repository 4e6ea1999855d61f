"""YAML reads back as what was printed, whatever characters a task's texts have."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taskclient.cli.output.writer import to_yaml

TEXTS = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\x85\u2028\u2029\ufeff\x1b\r\n\t :#'\"-")))


@settings(max_examples=50, deadline=None)
@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_yaml_reads_back_unchanged(value: object) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


def test_next_line_characters_are_kept() -> None:
    assert yaml.safe_load(to_yaml({"a\x85b": "a\x85\x85 b\n\x85"})) == {"a\x85b": "a\x85\x85 b\n\x85"}
