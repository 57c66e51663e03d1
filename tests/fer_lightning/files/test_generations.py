import logging

import pytest
import torch

from fer_lightning.files.resumable import new_generation, remove_generations, whole_generations


@pytest.fixture
def path(tmp_path):
    """A file in two generations, 2 and 1."""
    path = tmp_path / "last.ckpt"
    for n in (0, 1, 2):
        with new_generation(path) as part:
            torch.save({"n": torch.full((100,), n)}, part)
    return path


def found(path):
    return whole_generations(path, lambda _, content: int(content["n"][-1]))


def test_the_newest_comes_first_and_only_one_before_it_is_kept(path):
    assert found(path) == [2, 1]
    assert {file.name for file in path.parent.iterdir()} == {"last.ckpt", "last-1.ckpt"}


def test_a_truncated_file_is_named_and_the_one_before_it_used(path, caplog):
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        caplog.clear()
        assert found(path) == [1]
        assert f"{path}: damaged (" in caplog.text


def test_no_flipped_byte_changes_what_is_read(path):
    whole = path.read_bytes()
    outcomes = set()
    for at in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[at] ^= 0x55
        path.write_bytes(flipped)
        logging.disable()
        read = whole_generations(path, lambda _, content: content["n"].tolist())
        logging.disable(logging.NOTSET)
        assert read[-1] == [1] * 100
        assert read[0] in ([2] * 100, [1] * 100)
        outcomes.add(len(read))
    assert outcomes == {1, 2}  # bytes that only pad change nothing


def test_content_that_is_of_something_else_is_damage(path):
    def made(file, content):
        if file == path:
            raise KeyError("loops")
        return content["n"][0]

    assert whole_generations(path, made) == [1]


def test_a_writing_that_fails_leaves_both_generations(path):
    with pytest.raises(OSError, match="full"), new_generation(path):
        raise OSError("full")
    assert found(path) == [2, 1]


def test_both_generations_are_removed(path):
    remove_generations(path)
    assert not any(path.parent.iterdir())
    assert found(path) == []
