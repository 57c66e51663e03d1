import pytest

from fer_lightning.errors import InputError
from fer_lightning.files.resumable import GrowingFiles


@pytest.fixture
def files(tmp_path):
    """Files of which one has grown and one is new since `sizes` were taken."""
    files = GrowingFiles(tmp_path, ("metrics.csv", "events.*"))
    (tmp_path / "metrics.csv").write_text("a\nb\n")
    (tmp_path / "other.csv").write_text("mine")
    return files


def test_files_are_cut_back_and_later_ones_removed(files, tmp_path):
    sizes = files.sizes()
    assert sizes == {"metrics.csv": 4}
    (tmp_path / "metrics.csv").write_text("a\nb\nc\nd")
    (tmp_path / "events.1").write_text("later")
    files.cut(sizes)
    assert (tmp_path / "metrics.csv").read_text() == "a\nb\n"
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "other.csv"}


def test_a_file_that_has_shrunk_or_gone_is_named(files, tmp_path):
    sizes = files.sizes()
    (tmp_path / "metrics.csv").write_text("a\n")
    with pytest.raises(InputError, match=r"metrics\.csv: damaged \(it is shorter"):
        files.cut(sizes)
    (tmp_path / "metrics.csv").unlink()
    with pytest.raises(InputError, match=r"metrics\.csv: no longer there"):
        files.cut(sizes)


def test_all_are_removed(files, tmp_path):
    files.remove()
    assert {path.name for path in tmp_path.iterdir()} == {"other.csv"}
