"""How each plugin imported, read from an engine's log. Pure; one reader for both engines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workstation.command import START_MARK

_TIME = re.compile(r"(?P<seconds>\d+(?:\.\d+)?) seconds(?P<failed> \(IMPORT FAILED\))?: (?P<path>\S.*?)\s*$")
_BLOCK = "Import times for custom nodes:"
_PRESTARTUP = "Prestartup times for custom nodes:"
_FAILED = re.compile(r"Cannot import (?P<path>\S.*?) module for custom nodes: ?(?P<error>.*)$")
_TRACEBACK = "Traceback (most recent call last):"
# What a logging format may put before a message: brackets, a time, a level.
_PREFIX = re.compile(
    r"^(?:\[[^\]\n]*\]\s*|\d{4}-\d\d-\d\d[T ][\d:.,]+Z?\s*|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b[:\s-]*)+"
)
_PLUGIN_FOLDER = "custom_nodes"


@dataclass(frozen=True)
class ImportResult:
    """How one plugin imported at the engine's last start; `traceback` is Python's own, or empty."""

    name: str
    seconds: float
    ok: bool
    error: str = ""
    traceback: str = ""


def import_report(log_text: str) -> dict[str, ImportResult]:
    """The plugins that the engine tried at its last start, by name (their folder or file, without .py).

    Plugins that come with the engine itself are told only when they lie in a folder named custom_nodes.
    """
    lines = log_text.rpartition(START_MARK)[2].splitlines()
    report: dict[str, ImportResult] = {}
    failures: dict[str, tuple[str, str]] = {}
    in_block = False
    for number, line in enumerate(lines):
        message = _PREFIX.sub("", line)
        if _BLOCK in line or _PRESTARTUP in line:
            in_block = _BLOCK in line
        elif failure := _FAILED.search(message):
            name = plugin_name(failure["path"])
            failures[name] = (failure["error"], _traceback_before(lines, number))
            report.setdefault(name, ImportResult(name, 0.0, False, *failures[name]))
        elif in_block and (time := _TIME.search(message)):
            name = plugin_name(time["path"])
            error, traceback = failures.get(name, ("", ""))
            report[name] = ImportResult(name, float(time["seconds"]), not time["failed"], error, traceback)
        elif in_block and message.strip():
            in_block = False
    return report


def plugin_name(path: str) -> str:
    """A plugin's name from the path that the log shows: the part right below custom_nodes, without .py."""
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    if _PLUGIN_FOLDER in parts[:-1]:
        last = len(parts) - 2 - parts[:-1][::-1].index(_PLUGIN_FOLDER)
        return parts[last + 1].removesuffix(".py")
    return (parts[-1] if parts else path).removesuffix(".py")


def _traceback_before(lines: list[str], number: int) -> str:
    """The traceback whose last line stands right above line `number`; chained ones belong to it."""
    for start in range(number - 1, max(-1, number - 400), -1):
        if _FAILED.search(lines[start]) or _BLOCK in lines[start]:
            return ""
        if _TRACEBACK in lines[start]:
            first = _first_of_chain(lines, start)
            return "\n".join(_PREFIX.sub("", line) for line in lines[first:number]).strip()
    return ""


def _first_of_chain(lines: list[str], start: int) -> int:
    """Python prints causes first, joined by a sentence between blank lines."""
    joined = ("During handling of the above exception", "The above exception was the direct cause")
    above = [line for line in lines[max(0, start - 4) : start] if line.strip()]
    if not above or not any(text in above[-1] for text in joined):
        return start
    for earlier in range(start - 1, max(-1, start - 400), -1):
        if _TRACEBACK in lines[earlier]:
            return _first_of_chain(lines, earlier)
    return start
