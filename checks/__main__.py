"""`python -m checks`: print every problem in the tracked files. Exit with 1 when there is one."""

from __future__ import annotations

import sys

from checks import bare_statuses, sizes, sql_outside_db, vocabulary
from checks.sources import tracked_texts


def main() -> int:
    """Run all checks."""
    texts = tracked_texts()
    checks = (vocabulary, sql_outside_db, bare_statuses, sizes)
    problems = [problem for check in checks for problem in check.problems(texts)]
    print("".join(f"{problem}\n" for problem in problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
