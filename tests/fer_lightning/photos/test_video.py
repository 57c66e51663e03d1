"""Frames of videos: read in order, each so-many-th, and mistakes in one line."""

import numpy as np
import pytest

from fer_lightning.errors import InputError
from fer_lightning.photos import VideoWriter, open_camera, open_video

pytest.importorskip("cv2")


@pytest.fixture
def clip(tmp_path):
    """Twelve frames of one colour each, ever brighter, ten a second."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 10) as writer:
        for i in range(12):
            writer.add(np.full((64, 96, 3), 20 * i, np.uint8))
    return path


@pytest.mark.parametrize("step", [1, 5])
def test_frames_come_in_order_with_their_times(clip, step):
    with open_video(clip) as frames:
        assert (frames.fps, frames.size, frames.n_frames) == (10, (96, 64), 12)
        found = list(frames.every(step))
    numbers = list(range(0, 12, step))
    assert [frame.number for frame in found] == numbers
    assert [frame.seconds for frame in found] == pytest.approx([n / 10 for n in numbers])
    means = [frame.pixels.mean() for frame in found]
    np.testing.assert_allclose(means, [20 * n for n in numbers], atol=6)


def test_frames_are_red_green_and_blue(tmp_path):
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    with VideoWriter(tmp_path / "red.mp4", 10) as writer:
        writer.add(red)
    with open_video(tmp_path / "red.mp4") as frames:
        (frame,) = frames.every(1)
    np.testing.assert_allclose(frame.pixels.mean((0, 1)), (220, 0, 0), atol=12)


def test_what_is_no_video_is_one_line(tmp_path, clip):
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:200])
    for name in ("text.mp4", "cut.mp4"):
        with pytest.raises(InputError, match=f"{name}: cannot be opened as a video"):
            open_video(tmp_path / name)
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {clip}\n")
    for name in ("list.mp4", "concat.mp4"):
        with pytest.raises(InputError, match=f"{name}: must be a video, got a list of others"):
            open_video(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.mp4: no such file"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="camera must be the number of a camera, got 93"):
        open_camera(93)


def test_a_name_with_a_percent_sign_is_a_name(clip, tmp_path):
    odd = clip.rename(tmp_path / "100%d, %02d.mp4")
    with open_video(odd) as frames:
        assert len(list(frames.every(1))) == 12
