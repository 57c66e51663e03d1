import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fer_lightning.data import cache
from fer_lightning.data.sources.fer2013 import Fer2013
from fer_lightning.data.sources.folder import ClassFolders
from fer_lightning.errors import InputError


@pytest.fixture
def reads(monkeypatch):
    """A list that grows with each decoding."""
    happened = []

    def counted(source):
        happened.append(source)
        return original(source)

    original = Fer2013.read
    monkeypatch.setattr(Fer2013, "read", counted)
    return happened


def test_a_set_is_decoded_once(drawn, write_csv, tmp_path, reads):
    source = Fer2013(write_csv(drawn))
    first, second = (cache.load(source, tmp_path / "cache") for _ in range(2))
    assert len(reads) == 1
    assert first.fingerprint() == second.fingerprint()
    for (_, a), (_, b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.subjects, b.subjects)


def test_without_a_folder_nothing_is_kept(drawn, write_csv, tmp_path, reads):
    source = Fer2013(write_csv(drawn))
    kept = cache.load(source, tmp_path / "cache")
    assert cache.load(source, None).fingerprint() == kept.fingerprint()
    assert len(reads) == 2


def test_a_changed_file_is_decoded_again_even_with_its_old_size_and_time(
    drawn, write_csv, tmp_path, reads
):
    path = write_csv(drawn)
    times = path.stat()
    before = cache.load(Fer2013(path), tmp_path / "cache")
    content = path.read_bytes()
    head, _, tail = content.partition(b"Training")
    changed = head + b"Training" + tail.replace(b" 111 ", b" 112 ")
    assert len(changed) == len(content) != 0
    assert changed != content
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = cache.load(Fer2013(path), tmp_path / "cache")
    assert len(reads) == 2
    assert after.fingerprint() != before.fingerprint()


def test_a_picture_added_to_a_folder_is_seen(drawn, write_folder, tmp_path, reads):
    folder = write_folder(drawn)
    before = cache.load(Fer2013(folder), tmp_path / "cache")
    extra = folder / "train" / "sad" / "Training_99.png"
    shutil.copy(next((folder / "train" / "happy").iterdir()), extra)
    assert len(cache.load(Fer2013(folder), tmp_path / "cache").train) == len(before.train) + 1


def test_the_same_content_elsewhere_is_not_decoded_again(drawn, write_csv, tmp_path, reads):
    path = write_csv(drawn)
    cache.load(Fer2013(path), tmp_path / "cache")
    shutil.copy(path, tmp_path / "copy.csv")
    cache.load(Fer2013(tmp_path / "copy.csv"), tmp_path / "cache")
    assert len(reads) == 1


def test_other_settings_are_kept_apart(drawn, write_folder, tmp_path):
    folder = write_folder(drawn)
    prints = {
        cache.load(
            ClassFolders(folder, seed=seed, val_fraction=0.5), tmp_path / "cache"
        ).fingerprint()
        for seed in range(3)
    }
    assert len(prints) == 3


def test_what_a_killed_process_had_begun_to_write_is_removed(drawn, write_csv, tmp_path):
    source, folder = Fer2013(write_csv(drawn)), tmp_path / "cache"
    cache.load(source, folder)
    kept = next(folder.glob("*.npz"))
    kept.unlink()
    begun, anothers = folder / f".{kept.name}.a1b2.part", folder / ".tfd-00ff.npz.c3d4.part"
    for part in (begun, anothers):
        part.write_bytes(b"PK")
    cache.load(source, folder)
    assert kept.exists()
    assert not begun.exists()
    assert anothers.exists()


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: c[::-1]])
def test_a_damaged_cache_is_replaced(drawn, write_csv, tmp_path, reads, damage, caplog):
    source = Fer2013(write_csv(drawn))
    before = cache.load(source, tmp_path / "cache")
    kept = next((tmp_path / "cache").glob("*.npz"))
    kept.write_bytes(damage(kept.read_bytes()))
    assert cache.load(source, tmp_path / "cache").fingerprint() == before.fingerprint()
    assert "damaged" in caplog.text
    cache.load(source, tmp_path / "cache")
    assert len(reads) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_file_that_cannot_be_read_is_named(tmp_path, kept):
    folder = tmp_path / "faces.csv"  # a folder in the place of a file
    (folder / "train").mkdir(parents=True)
    (folder / "gone.png").symlink_to(folder / "nowhere")
    with pytest.raises(InputError, match=r"faces\.csv.*cannot be read"):
        cache.load(Fer2013(folder), tmp_path / "cache" if kept else None)


def test_a_cache_that_cannot_be_written_is_done_without(drawn, write_csv, tmp_path, caplog):
    (tmp_path / "file").touch()
    splits = cache.load(Fer2013(write_csv(drawn)), tmp_path / "file" / "cache")
    assert len(splits.train) == 14
    assert "cannot be written" in caplog.text


def test_processes_that_start_together_do_no_harm(drawn, write_csv, tmp_path):
    path = write_csv(drawn)
    script = (
        "from fer_lightning.data import cache\n"
        "from fer_lightning.data.sources import fer2013\n"
        f"source = fer2013.Fer2013({str(path)!r})\n"
        f"print(cache.load(source, {str(tmp_path / 'cache')!r}).fingerprint())"
    )
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    prints = {process.communicate(timeout=100)[0].strip() for process in processes}
    assert prints == {cache.load(Fer2013(path), None).fingerprint()}
    names = sorted(file.suffix for file in (tmp_path / "cache").iterdir())
    assert names == [".npz", ".seen"]


def test_of_those_that_begin_together_one_decodes(drawn, write_csv, tmp_path, monkeypatch, reads):
    source = Fer2013(write_csv(drawn))
    decode = Fer2013.read

    def slowly(self):
        time.sleep(0.3)
        return decode(self)

    monkeypatch.setattr(Fer2013, "read", slowly)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: cache.load(source, tmp_path / "cache"), range(3)))
    assert len(reads) == 1
    assert len({splits.fingerprint() for splits in found}) == 1
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".npz", ".seen"}


@pytest.mark.parametrize("note", [b"../../elsewhere/x", b"\xff", b"", b"a" * 33])
def test_a_note_that_is_no_hash_is_not_followed(drawn, write_csv, tmp_path, note):
    source = Fer2013(write_csv(drawn))
    (tmp_path / "elsewhere").mkdir()
    before = cache.load(source, tmp_path / "a" / "cache").fingerprint()
    (seen,) = (tmp_path / "a" / "cache").glob("*.seen")
    seen.write_bytes(note)
    assert cache.load(source, tmp_path / "a" / "cache").fingerprint() == before
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("field", "value"),
    [("labels", np.full(14, 7)), ("subjects", np.zeros(3)), ("images", np.zeros((14, 9)))],
)
def test_a_cache_that_holds_no_faces_is_replaced(drawn, write_csv, tmp_path, field, value, caplog):
    source = Fer2013(write_csv(drawn))
    before = cache.load(source, tmp_path / "cache").fingerprint()
    (kept,) = (tmp_path / "cache").glob("*.npz")
    with np.load(kept) as arrays:
        np.savez(kept, **{**arrays, f"train_{field}": value})
    assert cache.load(source, tmp_path / "cache").fingerprint() == before
    assert "damaged" in caplog.text
