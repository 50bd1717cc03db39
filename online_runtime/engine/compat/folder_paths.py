"""`folder_paths`: where plugins find models and where they save."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import EngineError, ModelMissing, NeedsComfyUI, UnknownFolder
from ..folders import WEIGHTS, FolderKinds, current, current_kind, split_annotation

supported_pt_extensions: set[str] = set(WEIGHTS)
folder_names_and_paths: FolderKinds = current().kinds
base_path: str = str(current().base)
models_dir: str = str(current().models)
output_directory: str = str(current().output)
input_directory: str = str(current().input)
temp_directory: str = str(current().temp)
user_directory: str = str(current().user)
extension_mimetypes_cache: dict[str, str] = {"webp": "image", "fbx": "model"}


def map_legacy(folder_name: str) -> str:
    """The present name of a folder kind (`unet`, `clip`)."""
    return current_kind(folder_name)


def get_output_directory() -> str:
    return str(current().output)


def get_temp_directory() -> str:
    return str(current().temp)


def get_input_directory() -> str:
    return str(current().input)


def get_user_directory() -> str:
    return str(current().user)


def get_public_user_directory(user_id: str) -> str | None:
    """The folder of one user's files; None for a name that is not one of a user."""
    if not user_id or user_id.startswith("__") or "/" in user_id or user_id in (".", ".."):
        return None
    return str(current().user / user_id)


def get_system_user_directory(name: str = "system") -> str:
    """A folder for data of plugins that no request serves."""
    return str(current().user / f"__{name}")


def get_directory_by_type(type_name: str) -> str | None:
    """The folder of `input`, `output` or `temp`."""
    found = current().directory(type_name)
    return str(found) if found else None


def get_input_subfolders() -> list[str]:
    """Folders below `input`, with forward slashes."""
    root = current().input
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir())


def set_output_directory(output_dir: str) -> None:
    """Refused: the folders of this engine are fixed when it starts."""
    raise NeedsComfyUI("folder_paths.set_output_directory")


def set_temp_directory(temp_dir: str) -> None:
    """Refused: the folders of this engine are fixed when it starts."""
    raise NeedsComfyUI("folder_paths.set_temp_directory")


def set_input_directory(input_dir: str) -> None:
    """Refused: the folders of this engine are fixed when it starts."""
    raise NeedsComfyUI("folder_paths.set_input_directory")


def set_user_directory(user_dir: str) -> None:
    """Refused: the folders of this engine are fixed when it starts."""
    raise NeedsComfyUI("folder_paths.set_user_directory")


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    """Search one more folder for models of a kind; `is_default` searches it first."""
    paths, _ = folder_names_and_paths.setdefault(map_legacy(folder_name), ([], set()))
    if full_folder_path in paths:
        if not is_default:
            return
        paths.remove(full_folder_path)
    paths.insert(0 if is_default else len(paths), full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    """The folders searched for a kind. KeyError for an unknown one."""
    return list(folder_names_and_paths[map_legacy(folder_name)][0])


def get_filename_list(folder_name: str) -> list[str]:
    """Names of all models of a kind. KeyError for an unknown one."""
    try:
        return current().list(folder_name)
    except UnknownFolder as error:
        raise KeyError(folder_name) from error


def get_full_path(folder_name: str, filename: str) -> str | None:
    """The path of a model; None when it does not exist."""
    try:
        return str(current().path(folder_name, filename))
    except (ModelMissing, UnknownFolder):
        return None


def get_full_path_or_raise(folder_name: str, filename: str) -> str:
    """The path of a model. FileNotFoundError when it does not exist."""
    try:
        return str(current().path(folder_name, filename))
    except EngineError as error:
        raise FileNotFoundError(str(error)) from error


def annotated_filepath(name: str) -> tuple[str, str | None]:
    """`x.png [temp]` as the name and the folder that is meant; None without annotation."""
    plain, type = split_annotation(name)
    return plain, get_directory_by_type(type) if type else None


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    """The path of a file with an optional annotation; it need not exist."""
    plain, type = split_annotation(name)
    if type is None and default_dir is not None:
        return str(Path(default_dir, plain))
    return str(current().annotated(name))


def exists_annotated_filepath(name: str) -> bool:
    """Whether that file exists; False for a name that leads out of its folder."""
    try:
        return current().annotated(name).exists()
    except EngineError:
        return False


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """(folder, stem, counter, subfolder, prefix) for `f"{stem}_{counter:05}_.png"`."""
    path = current().save_path(filename_prefix, Path(output_dir), image_width, image_height)
    return str(path.folder), path.stem, path.counter, path.subfolder, filename_prefix


def recursive_search(
    directory: str, excluded_dir_names: list[str] | None = None
) -> tuple[list[str], dict[str, float]]:
    """All files below `directory`, relative to it, and its folders with their times."""
    files: list[str] = []
    folders: dict[str, float] = {}
    for folder, below, names in os.walk(directory, followlinks=True):
        below[:] = [name for name in below if name not in (excluded_dir_names or ())]
        folders[folder] = Path(folder).stat().st_mtime
        files += [os.path.relpath(os.path.join(folder, name), directory) for name in names]  # noqa: PTH118
    return files, folders


def filter_files_extensions(files: Iterable[str], extensions: Iterable[str]) -> list[str]:
    """The files that end so, sorted; all when no extension is given."""
    wanted = {extension.lower() for extension in extensions}
    return sorted(file for file in files if not wanted or Path(file).suffix.lower() in wanted)


def filter_files_content_types(files: list[str], content_types: list[str]) -> list[str]:
    """The files of these kinds: image, video, audio, model."""
    return [file for file in files if _content_type(file) in content_types]


def _content_type(file: str) -> str:
    suffix = Path(file).suffix.lower().lstrip(".")
    known = extension_mimetypes_cache.get(suffix)
    return known or (mimetypes.guess_type(file)[0] or "").split("/")[0]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"folder_paths.{name} needs the comfyui engine; this workstation runs the builtin one."
    )
