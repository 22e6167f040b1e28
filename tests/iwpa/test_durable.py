from __future__ import annotations

import pathlib

import numpy as np
import pytest

from iwpa import durable

_ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "count": np.int64(7),
    "empty": np.zeros((0, 3), np.float32),
}


def _publish(target, value="new", then=lambda: None):
    with durable.publish(target) as directory:
        durable.write_arrays(directory, "arrays.safetensors", _ARRAYS, {"value": value})
        then()


def test_arrays_come_back_as_they_were(tmp_path):
    _publish(tmp_path / "1")
    arrays, manifest = durable.read_arrays(tmp_path / "1", "arrays.safetensors")
    assert manifest["value"] == "new"
    assert arrays.keys() == _ARRAYS.keys()
    for name, value in _ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], value)
        assert arrays[name].shape == np.shape(value), name
        assert arrays[name].dtype == value.dtype, name
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_publishing_again_replaces_the_directory(tmp_path):
    _publish(tmp_path / "1", "old")
    _publish(tmp_path / "1", "new")
    assert durable.read_manifest(tmp_path / "1")["value"] == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


class _Killed(BaseException):
    """Stands for a kill of the process: no handler of `Exception` runs."""


def _die(*arguments, **options):
    raise _Killed


@pytest.mark.parametrize("moment", ["writing", "syncing", "renaming"])
def test_a_kill_before_the_new_directory_is_complete_leaves_the_old_one(
    tmp_path, monkeypatch, moment
):
    _publish(tmp_path / "1", "old")
    with monkeypatch.context() as patch:
        # A killed process cleans nothing up.
        patch.setattr(durable.shutil, "rmtree", lambda *arguments, **options: None)
        if moment == "syncing":
            patch.setattr(durable, "_sync", _die)
        if moment == "renaming":
            patch.setattr(pathlib.Path, "rename", _die)
        with pytest.raises(_Killed):
            _publish(tmp_path / "1", "new", _die if moment == "writing" else lambda: None)
    assert durable.read_arrays(tmp_path / "1", "arrays.safetensors")[1]["value"] == "old"
    assert [path.name for path in durable.numbered(tmp_path)] == ["1"]
    assert len(list(tmp_path.iterdir())) == 2
    durable.remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_an_error_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="disk full"), durable.publish(tmp_path / "1"):
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def _write_a_part(path):
    path.write_text("ne")
    raise OSError(28, "No space left on device")


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with durable.publish_file(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_while_a_file_is_written_leaves_the_old_one_alone(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(OSError, match="No space left"), durable.publish_file(target) as temporary:
        _write_a_part(temporary)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_files_of_killed_processes_are_removed_like_folders(tmp_path):
    with durable.publish_file(tmp_path / "file") as temporary:
        temporary.write_text("new")
    temporary.write_text("ne")
    (tmp_path / "file").unlink()
    durable.remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_named(tmp_path):
    _publish(tmp_path / "1")
    path = tmp_path / "1" / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(durable.DamagedError, match=f"{path} is truncated or altered"):
        durable.read_arrays(tmp_path / "1", path.name)


def test_an_altered_byte_is_noticed(tmp_path):
    _publish(tmp_path / "1")
    path = tmp_path / "1" / "arrays.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(durable.DamagedError, match=f"{path} is truncated or altered"):
        durable.read_arrays(tmp_path / "1", path.name)


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_directory_without_a_complete_manifest_is_damaged(tmp_path, content):
    _publish(tmp_path / "1")
    manifest = tmp_path / "1" / durable.MANIFEST
    manifest.unlink() if content is None else manifest.write_text(content)
    with pytest.raises(durable.DamagedError, match=str(tmp_path / "1")):
        durable.read_arrays(tmp_path / "1", "arrays.safetensors")


def test_a_missing_file_is_named(tmp_path):
    _publish(tmp_path / "1")
    (tmp_path / "1" / "arrays.safetensors").unlink()
    with pytest.raises(durable.DamagedError, match=r"arrays\.safetensors cannot be read"):
        durable.read_arrays(tmp_path / "1", "arrays.safetensors")


def test_directories_are_ordered_by_number(tmp_path):
    for name in ("100", "20", "3", ".unfinished-7", "other"):
        (tmp_path / name).mkdir()
    assert [path.name for path in durable.numbered(tmp_path)] == ["3", "20", "100"]
