"""Files of the report and the figures appear whole or not at all."""

from __future__ import annotations

import pytest

from results.files import publish_file


def write_a_part(path):
    path.write_text("ne")
    raise OSError(28, "No space left on device")


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "page.html"
    target.write_text("old")
    with publish_file(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_while_it_is_written_leaves_the_old_one_alone(tmp_path):
    target = tmp_path / "page.html"
    target.write_text("old")
    with pytest.raises(OSError, match="No space left"), publish_file(target) as temporary:
        write_a_part(temporary)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
