"""Names from outside stay below their roots; counters and search folders are ComfyUI's."""

from __future__ import annotations

import pytest

from online_runtime.engine.errors import BadArgument, ModelMissing, PathOutside, UnknownFolder
from online_runtime.engine.extra_paths import add_extra_paths
from online_runtime.engine.folders import Folders, inside
from online_runtime.engine.tracebacks import PathFilter


@pytest.fixture
def folders(tmp_path):
    return Folders.below(tmp_path)


def touch(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_models_are_listed_through_links_with_slashes_and_by_old_names(folders, tmp_path):
    touch(tmp_path / "shared" / "a" / "x.safetensors")
    touch(tmp_path / "shared" / "notes.txt")
    folders.models.mkdir()
    (folders.models / "unet").symlink_to(tmp_path / "shared")
    assert folders.list("diffusion_models") == folders.list("unet") == ["a/x.safetensors"]
    assert folders.path("unet", "a/x.safetensors").is_file()


def test_a_link_that_leads_in_a_circle_does_not_hang_the_listing(folders):
    touch(folders.models / "loras" / "x.pt")
    (folders.models / "loras" / "again").symlink_to(folders.models / "loras")
    assert folders.list("loras") == ["x.pt"]


def test_a_missing_model_names_kind_and_folder(folders):
    with pytest.raises(ModelMissing, match="put it into models/checkpoints/"):
        folders.path("checkpoints", "x.safetensors")
    with pytest.raises(UnknownFolder):
        folders.list("nothing")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..\\x", "", "a\0b"])
def test_names_that_lead_out_are_refused_everywhere(folders, name):
    with pytest.raises(PathOutside):
        folders.path("checkpoints", name)
    with pytest.raises(PathOutside):
        folders.save_path(name, folders.output)
    if name:
        with pytest.raises(PathOutside):
            folders.annotated(name)


def test_a_link_out_of_the_folder_is_refused(folders, tmp_path):
    folders.input.mkdir()
    (folders.input / "out").symlink_to("/etc")
    with pytest.raises(PathOutside):
        inside(folders.input, "out/passwd")


def test_annotations_choose_the_folder(folders):
    assert folders.annotated("x.png [temp]") == folders.temp / "x.png"
    assert folders.annotated("a/x.png") == folders.input / "a" / "x.png"
    assert folders.annotated("x.png", default="output") == folders.output / "x.png"


def test_the_counter_follows_the_largest_number_of_its_own_stem(folders):
    assert folders.save_path("pic", folders.output).counter == 1
    touch(folders.output / "pic_00007_.png")
    touch(folders.output / "pic_00003_.png")
    touch(folders.output / "picture_00099_.png")
    assert folders.save_path("pic", folders.output).counter == 8
    path = folders.save_path("sub/%width%x%height%", folders.output, 64, 32)
    assert (path.subfolder, path.stem, path.folder) == ("sub", "64x32", folders.output / "sub")
    assert path.folder.is_dir()


def test_extra_paths_are_searched_and_a_bad_file_is_told(folders, tmp_path):
    touch(tmp_path / "more" / "l" / "x.safetensors")
    config = tmp_path / "extra.yaml"
    config.write_text("mine:\n  base_path: more\n  is_default: true\n  loras: l\n  clip: |\n    t\n    u\n")
    add_extra_paths(folders, config)
    assert folders.list("loras") == ["x.safetensors"]
    assert folders.kinds["text_encoders"][0][:2] == [str(tmp_path / "more" / x) for x in ("u", "t")]
    config.write_text("mine: 3\n")
    with pytest.raises(BadArgument, match="holds no folders"):
        add_extra_paths(folders, config)


def test_answers_name_known_folders_and_of_others_only_the_file(folders, tmp_path):
    paths = PathFilter.of(folders)
    assert paths.text(f"no file '{tmp_path}/models/loras/x.pt'") == "no file 'models/loras/x.pt'"
    assert paths.text("read /usr/share/secret/list.txt here") == "read list.txt here"
    assert paths.text("see https://example.org/a/b and 1/2") == "see https://example.org/a/b and 1/2"
