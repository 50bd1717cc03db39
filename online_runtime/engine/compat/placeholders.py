"""Stand-ins for ComfyUI internals: they import, can be subclassed and passed on, and refuse to be used."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from ..errors import NeedsComfyUI

_TOP_LEVEL = ("comfy", "comfy_extras", "comfy_execution", "comfy_api", "comfy_api_nodes", "comfy_config")


class _Refusing(type):
    """The class of placeholders: attributes are placeholders again, calling is refused."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return placeholder(f"{cls.__module__}.{cls.__qualname__}.{name}")

    def __call__(cls, *arguments: Any, **options: Any) -> NoReturn:
        raise NeedsComfyUI(f"{cls.__module__}.{cls.__qualname__}")


def placeholder(full_name: str) -> Any:
    """A stand-in for `full_name`. Plugins may subclass it; calling it or a subclass raises NeedsComfyUI."""
    module, _, name = full_name.rpartition(".")
    return _Refusing(name, (), {"__module__": module, "__qualname__": name})


class _PlaceholderModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return placeholder(f"{self.__name__}.{name}")


class PlaceholderFinder(MetaPathFinder, Loader):
    """Finds any module below ComfyUI's packages that nobody else finds. Stands last in sys.meta_path."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".", 1)[0] not in _TOP_LEVEL:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _PlaceholderModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        return None
