"""Settings, read once at the door: HOME/settings.toml first, STILLFRAME_* variables over it.

`publisher.settings.Settings` holds what the platform does by; `DoorSettings` what the doors do by. A key that
neither has is
refused with its name and an example, before anything starts.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from web.errors import BadSetting, UnknownSetting

if TYPE_CHECKING:
    from publisher.settings import Settings

PREFIX = "STILLFRAME_"
DEFAULT_HOME = Path("stillframe-home")
# Read by other entry points and hooks, not settings of the platform.
NOT_SETTINGS = frozenset({"STILLFRAME_HOME", "STILLFRAME_DEBUG", "STILLFRAME_CRASH_AT", "STILLFRAME_TOKEN"})


@dataclass(frozen=True)
class DoorSettings:
    """`hosts`: further names that the web door may be called by, beside the address it listens on."""

    hosts: tuple[str, ...] = ()
    wrong_passwords: int = 10  # from one address within `wrong_passwords_seconds`, then 429
    wrong_passwords_seconds: float = 60.0
    session_idle_seconds: float = 12 * 3600.0  # a browser that asked for nothing so long signs in again
    session_seconds: float = 7 * 86_400.0  # and every one after this


@dataclass(frozen=True)
class Chosen:
    """Everything that was decided at the door. `home` is absolute."""

    home: Path
    platform: Settings
    door: DoorSettings


def home_path(given: Path | None, environment: Mapping[str, str]) -> Path:
    """The home folder: the argument, else STILLFRAME_HOME, else ./stillframe-home; absolute."""
    chosen = given or Path(environment.get("STILLFRAME_HOME") or DEFAULT_HOME)
    return chosen.expanduser().absolute()


def read_settings(home: Path, environment: Mapping[str, str]) -> Chosen:
    """Raises UnknownSetting and BadSetting, naming the file or variable and a valid example."""
    from publisher.settings import Settings

    platform, door = Settings(), DoorSettings()
    for key, value, source in _given(home, environment):
        if key in _names(door):
            door = _with(door, key, value, source)
        elif key in _names(platform):
            platform = _with(platform, key, value, source)
        else:
            known = sorted({*_names(platform), *_names(door)})
            raise UnknownSetting(key, source, known, _example(platform, _nearest(key, known)))
    return Chosen(home=home, platform=platform, door=door)


def hand_over(home: Path, platform: Settings) -> Path:
    """Write the platform's settings where the worker reads them, by rename; returns the file.

    Only its owner may read it.
    """
    file = home / "run" / "settings.json"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    partial = file.with_name(f".settings.{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(json.dumps(asdict(platform)))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
    return file


def _given(home: Path, environment: Mapping[str, str]) -> list[tuple[str, object, str]]:
    file = home / "settings.toml"
    given: list[tuple[str, object, str]] = []
    if file.is_file():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise BadSetting(
                "the file", str(file), str(problem), "valid TOML", "bake_seconds = 30.0"
            ) from problem
        given += [(key, value, str(file)) for key, value in values.items()]
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            given.append((name.removeprefix(PREFIX).lower(), text, f"the variable {name}"))
    return given


def _names(settings: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(settings)}


def _with(settings: Any, key: str, value: object, source: str) -> Any:
    wanted = get_type_hints(type(settings))[key]
    try:
        return replace(settings, **{key: _as(wanted, value)})
    except (ValueError, TypeError) as problem:
        raise BadSetting(key, source, value, _kind(wanted), _example(settings, key)) from problem


def _as(wanted: Any, value: object) -> object:
    """`value`, from TOML or from a variable's text, as the type `wanted`. Raises ValueError."""
    choices = [choice for choice in get_args(wanted) if choice is not type(None)]
    if type(None) in get_args(wanted) and value in ("", "none", None):
        return None
    if getattr(wanted, "__origin__", None) is tuple:
        return _words(value)
    if choices and getattr(wanted, "__origin__", None) is None:
        return _as(choices[0], value)
    return _plain_as(wanted, value)


def _words(value: object) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(value)
    return tuple(word.strip() for word in words if word.strip())


def _plain_as(wanted: Any, value: object) -> object:
    if wanted is bool:
        switches = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return switches[str(value).lower()] if str(value).lower() in switches else _no(value)
    if wanted is int and isinstance(value, float):
        return _no(value)
    if wanted in (int, float) and isinstance(value, int | float | str) and not isinstance(value, bool):
        number = wanted(value)
        return number if number >= 0 and number == number else _no(value)
    if wanted is Path and isinstance(value, str):
        return Path(value)
    return value if wanted is str and isinstance(value, str) else _no(value)


def _no(value: object) -> object:
    raise ValueError(value)


def _kind(wanted: Any) -> str:
    names = {
        int: "a whole number",
        float: "a number, 0 or more",
        bool: "true or false",
        str: "a text",
        Path: "a path",
    }
    return names.get(wanted, "a list of texts" if "tuple" in str(wanted) else f"a value of {wanted}")


def _example(settings: Any, key: str) -> str:
    field = _names(settings).get(key)
    if field is None or field.default is MISSING:
        return "bake_seconds = 30.0"
    value = field.default
    shown = (
        {True: "true", False: "false", None: '""'}.get(value, value)
        if isinstance(value, bool | None)
        else value
    )
    return (
        f"{key} = {shown!r}"
        if isinstance(shown, str) and value is not None and not isinstance(value, bool)
        else f"{key} = {shown}"
    )


def _nearest(key: str, known: list[str]) -> str:
    from difflib import get_close_matches

    return (get_close_matches(key, known, n=1) or ["bake_seconds"])[0]
