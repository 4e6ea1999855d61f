"""The Dockerfiles, parsed into instructions."""

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
    """Return the instructions, with continuation lines joined and comments removed."""
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line]


def stages(service: str) -> list[list[Instruction]]:
    """Return the instructions by stage, each starting with its FROM."""
    found: list[list[Instruction]] = []
    for instruction in read_instructions(service):
        if instruction.keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def values(instructions: list[Instruction], word: str) -> list[str]:
    return [instruction.value for instruction in instructions if instruction.keyword == word]
