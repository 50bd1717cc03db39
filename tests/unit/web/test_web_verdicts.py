"""The table of web/verdicts.py against the errors that there are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

from web.verdicts import EXIT_CODES, VERDICTS, verdict_of
from workstation.errors import BadName

PACKAGES = ("workstation", "snapshotter", "online_runtime", "publisher", "web")
# Another program, copied into workstations: its errors never reach our doors.
NOT_OURS = "online_runtime.engine"


def modules_of(package: str) -> Iterator[str]:
    """Names of all modules below `package`. pkgutil's own walk would import the engine, and so torch."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        name = found.name.rpartition(".")[2]
        if found.name == NOT_OURS or name in ("__main__", "env") or not name.isidentifier():
            continue
        if ".versions." in found.name:
            continue
        yield found.name
        if found.ispkg:
            yield from modules_of(found.name)


def errors_of_all_packages() -> Iterator[type[BaseException]]:
    for module in (module for package in PACKAGES for module in modules_of(package)):
        for thing in vars(importlib.import_module(module)).values():
            if inspect.isclass(thing) and issubclass(thing, BaseException) and thing.__module__ == module:
                yield thing


def test_every_error_of_every_package_stands_in_the_table() -> None:
    names = {f"{error.__module__}.{error.__qualname__}" for error in errors_of_all_packages()}
    assert len(names) > 80
    private = {name for name in names if name.rpartition(".")[2].startswith("_")}
    assert names - private - VERDICTS.keys() == set()


def test_every_entry_of_the_table_names_an_error_that_exists() -> None:
    for entry in VERDICTS:
        module, _, name = entry.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), name), BaseException)


def test_every_exit_code_of_the_table_is_explained() -> None:
    assert {verdict.exit_code for verdict in VERDICTS.values()} <= EXIT_CODES.keys()
    assert all(400 <= verdict.status <= 599 for verdict in VERDICTS.values())


def test_a_subclass_without_an_entry_is_judged_as_its_parent() -> None:
    class VeryBadName(BadName):
        pass

    assert verdict_of(VeryBadName) == verdict_of(BadName)
    assert verdict_of(KeyError) is None


@pytest.mark.parametrize("error", sorted(set(errors_of_all_packages()), key=str))
def test_every_error_says_what_it_is(error: type[BaseException]) -> None:
    assert (error.__doc__ or "").strip(), f"{error} has no docstring"
