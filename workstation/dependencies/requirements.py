"""Requirements as plugins write them: files that include files, options, odd encodings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workstation.dependencies.errors import RequirementsUnreadable

_INDEX_OPTION = re.compile(r"(--index-url|--extra-index-url|--find-links|-i|-f)(?:\s+|=)(\S+)")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s+|=)?(\S+)")
_CONSTRAINT = re.compile(r"(?:-c|--constraint)(?:\s+|=)?(\S+)")
_HASH = re.compile(r"\s+--hash=\S+")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_LOCAL_FILE = re.compile(r"[^:]*\.(?:whl|tar\.gz|zip)")
_DEEPEST = 10
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class Requirements:
    """Flat requirement lines, constraints, and the options that name indexes (two words each)."""

    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def given_requirements(lines: list[str] | tuple[str, ...]) -> Requirements:
    """Requirements that a person typed; a wheel or source archive may be given by its path."""
    return Requirements(tuple(_local(line, Path.cwd()) for line in lines if line.strip()))


def read_requirements(file: Path) -> Requirements:
    """Read a requirements file with what it includes. Files outside its folder, editable installs and unknown
    options raise RequirementsUnreadable; hashes are dropped, because the plan pins versions itself.
    """
    return _read(file, file.parent.resolve(), 0)


def _read(file: Path, root: Path, depth: int) -> Requirements:
    if depth > _DEEPEST:
        raise RequirementsUnreadable(file, "its includes go round in circles")
    lines: list[str] = []
    constraints: list[str] = []
    options: list[str] = []
    for line in _logical_lines(file):
        if option := _INDEX_OPTION.fullmatch(line):
            options += [option[1], option[2]]
        elif include := _INCLUDE.fullmatch(line):
            inner = _read(_inside(file, include[1], root), root, depth + 1)
            lines += inner.lines
            constraints += inner.constraints
            options += inner.options
        elif constraint := _CONSTRAINT.fullmatch(line):
            constraints += _read(_inside(file, constraint[1], root), root, depth + 1).lines
        elif line.startswith("-"):
            raise RequirementsUnreadable(file, f"{line!r} is not supported here")
        else:
            lines.append(_local(_HASH.sub("", line), file.parent))
    return Requirements(tuple(lines), tuple(constraints), tuple(options))


def _logical_lines(file: Path) -> list[str]:
    text = _text(file).replace("\\\r\n", " ").replace("\\\n", " ")
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RequirementsUnreadable(file, str(error.strerror)) from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RequirementsUnreadable(file, f"it is not text in {encoding}") from error


def _inside(file: Path, named: str, root: Path) -> Path:
    target = (file.parent / named).resolve()
    if not target.is_relative_to(root):
        raise RequirementsUnreadable(file, f"it includes {named!r}, which lies outside its folder")
    return target


def _local(line: str, folder: Path) -> str:
    """A path to a wheel made absolute, so that it means the same wherever uv runs."""
    line = line.strip()
    if _LOCAL_FILE.fullmatch(line) and (folder / line).is_file():
        return str((folder / line).resolve())
    return line
