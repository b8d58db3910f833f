"""From samples to a table: medians, ranges, ratios to the floor, targets."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

FLOOR = "bare"
READING = "bare + JSON"
OURS = "aiproxy"
COLUMNS = ("nginx", FLOOR, READING, OURS)

_LIBRARIES = ("Twisted", "treq", "klein", "msgspec")


@dataclass(frozen=True)
class Row:
    """
    One row of the report.

    floor: name of the row whose bare figure is this row's 1; "" for this row itself.
    most_floors: target, as a ratio to the floor. most: target in the row's own unit.
    """

    name: str
    unit: str
    floor: str = ""
    most_floors: float | None = None
    most: float | None = None


class Sample(NamedTuple):
    """One figure of one run."""

    row: str
    subject: str
    value: float


class Line(NamedTuple):
    """
    One row with its figures. medians: in the order of COLUMNS, None where nobody measured.

    ratio: ours to the floor. is_met: None where there is no target, or nothing to judge by.
    """

    row: Row
    medians: tuple[float | None, ...]
    lowest: float | None
    highest: float | None
    ratio: float | None
    is_met: bool | None


def summed(rows: Iterable[Row], samples: Sequence[Sample]) -> list[Line]:
    """One line for each row that somebody measured."""
    lines = []
    for row in rows:
        medians = tuple(_median(samples, row.name, subject) for subject in COLUMNS)
        if any(figure is not None for figure in medians):
            lines.append(_line(row, medians, samples))
    return lines


def _line(row: Row, medians: tuple[float | None, ...], samples: Sequence[Sample]) -> Line:
    ours = _values(samples, row.name, OURS)
    floor = _median(samples, row.floor or row.name, FLOOR)
    ratio = median(ours) / floor if ours and floor else None
    is_met = None
    if row.most is not None and ours:
        is_met = median(ours) <= row.most
    elif row.most_floors is not None and ratio is not None:
        is_met = ratio <= row.most_floors
    return Line(row, medians, min(ours, default=None), max(ours, default=None), ratio, is_met)


def _values(samples: Sequence[Sample], row: str, subject: str) -> list[float]:
    return [one.value for one in samples if (one.row, one.subject) == (row, subject)]


def _median(samples: Sequence[Sample], row: str, subject: str) -> float | None:
    values = _values(samples, row, subject)
    return median(values) if values else None


def table(lines: Iterable[Line]) -> str:
    """Markdown, readable as it is."""
    cells: list[tuple[str, ...]] = [
        (
            *("measure", "unit", "nginx", "bare (F)", READING, OURS),
            *("lowest–highest", "of F", "target", ""),
        )
    ]
    cells += [
        (
            line.row.name,
            line.row.unit,
            *(_shown(figure) for figure in line.medians),
            "" if line.lowest is None else f"{_shown(line.lowest)}–{_shown(line.highest)}",
            "" if line.ratio is None else f"{line.ratio:.2f}",
            _target(line.row),
            {None: "", True: "reached", False: "MISSED"}[line.is_met],
        )
        for line in lines
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    rendered = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((rendered[0], rule, *rendered[1:])) + "\n"


def _shown(figure: float | None) -> str:
    """Three digits that mean something."""
    if figure is None:
        return ""
    return f"{figure:.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def _target(row: Row) -> str:
    if row.most is not None:
        return f"≤ {row.most:g} {row.unit.partition(' ')[0]}"
    return "" if row.most_floors is None else f"≤ {row.most_floors:.2f} F"


def machine() -> str:
    """What it ran on, in a few lines."""
    cpu = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"- {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC\n"
        f"- {os.cpu_count()} × {cpu}, Linux {platform.release().partition('-')[0]}\n"
        f"- {platform.python_implementation()} {platform.python_version()}, {libraries}\n"
    )
