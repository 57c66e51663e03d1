"""A full disk is one line that names the remedy; any other error stays what it is."""

import errno
from pathlib import Path

import pytest

from fer_lightning.errors import InputError
from fer_lightning.files.writing import full_disk_is_told


def write_to_a_disk(number: int) -> None:
    try:
        raise OSError(number, "full")
    except OSError as error:
        raise RuntimeError("cannot write a checkpoint") from error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_its_remedy(number):
    told = r"^run: the disk is full; .* resume=run$"
    with pytest.raises(InputError, match=told), full_disk_is_told(Path("run")):
        write_to_a_disk(number)


def test_another_error_stays_what_it_is():
    with pytest.raises(PermissionError), full_disk_is_told(Path("run")):
        raise PermissionError(errno.EACCES, "no")


def test_an_error_that_comes_from_itself_stays_what_it_is():
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    with pytest.raises(ValueError, match="first"), full_disk_is_told(Path("run")):
        raise first
