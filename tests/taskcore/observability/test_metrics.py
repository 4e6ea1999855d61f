"""How attempts are counted."""

from __future__ import annotations

from taskcore.observability.metrics import BoundedLabels


def test_names_beyond_the_limit_share_one_label() -> None:
    labels = BoundedLabels(2)

    names = ["default", "mail", "invented", "mail", "another"]
    assert [labels[name] for name in names] == ["default", "mail", "other", "mail", "other"]
