"""The Dockerfiles, read as their instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("api", "worker", "collector-analytics", "collector-k8s")


@dataclass(frozen=True)
class Instruction:
    keyword: str
    value: str


def read_instructions(service: str) -> list[Instruction]:
    """Lines that go on are one, comments are none."""
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line]


def stages(service: str) -> list[list[Instruction]]:
    """Each from its FROM on. What comes before the first is left out."""
    found: list[list[Instruction]] = []
    for instruction in read_instructions(service):
        if instruction.keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def values(instructions: list[Instruction], word: str) -> list[str]:
    return [instruction.value for instruction in instructions if instruction.keyword == word]
