"""The page: a tab for photos, and a tab where models look at the same face."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_lightning.data import CLASSES
from fer_lightning.photos import as_picture, crops
from fer_lightning.plots import EXPRESSIONS
from fer_lightning.recognition import Recogniser, annotated, faces_of
from fer_lightning.webpage.models import Choice

TITLE = "Facial expressions"
HEIGHT = 400  # of pictures, in pixels
NOBODY = "No face found."
HINT = "Drop a photo here, or take one with the camera."
LIMITS = (
    "An expression is not an emotion: the network was trained on posed and found pictures, and is "
    "right about two faces in three. Do not decide about people by it. Photos stay on this machine."
)
SHOWN: dict[str, Any] = {
    "interactive": False,
    "height": HEIGHT,
    "buttons": ["download", "fullscreen"],
}
ENLARGED = 5  # times, of the small face that models see
MOST = 4  # models side by side
CSS = """
.answers { display: flex; flex-wrap: wrap; gap: 0.8rem; }
.answer { flex: 1 1 15rem; max-width: 28rem; padding: 0.8rem; border-radius: 0.6rem;
  border: 1px solid var(--border-color-primary); background: var(--block-background-fill); }
.answer h4 { margin: 0 0 0.5rem; color: var(--body-text-color); overflow-wrap: anywhere; }
.bar { display: grid; grid-template-columns: 4.8rem 1fr 2.6rem; gap: 0.5rem; align-items: center;
  font-size: 0.9rem; color: var(--body-text-color); }
.bar .track { height: 0.8rem; border-radius: 0.3rem; background: var(--border-color-primary); }
.bar .track div { height: 100%; border-radius: 0.3rem; }
.bar span:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.bar.top { font-weight: 600; }
"""


def build(recogniser: Recogniser, networks: Sequence[Choice], others: Sequence[Choice]) -> Any:
    """Return the page, as Gradio's `Blocks`.

    Args:
        recogniser: Finds the faces.
        networks: What photos can be looked at with; the first is chosen.
        others: What they can be compared with, beside each other.
    """
    import gradio as gr

    by_name = {choice.name: choice for choice in (*networks, *others)}
    names = [choice.name for choice in networks]
    compared = [choice.name for choice in (*networks[:2], *others)][:MOST]

    def look(image: np.ndarray | None, name: str) -> tuple[np.ndarray | None, str]:
        return photo(recogniser, by_name[name], image)

    def compare(image: np.ndarray | None, chosen: list[str]) -> tuple[np.ndarray | None, str]:
        return side_by_side(recogniser, [by_name[name] for name in chosen[:MOST]], image)

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(f"# {TITLE}\n\n{LIMITS}")
        with gr.Tab("Photo"):
            with gr.Row():
                with gr.Column():
                    given = _picture(gr, "photo")
                    network = gr.Dropdown(names, value=names[0], label="Network", elem_id="network")
                with gr.Column():
                    shown = gr.Image(label="Faces", elem_id="faces", **SHOWN)
                    told = gr.HTML(_note(HINT), elem_id="told")
            gr.on([given.change, network.change], look, [given, network], [shown, told])
        with gr.Tab("Compare"):
            with gr.Row():
                with gr.Column():
                    face = _picture(gr, "face")
                    models = gr.Dropdown(
                        list(by_name), value=compared, multiselect=True, max_choices=MOST,
                        label=f"Models, up to {MOST}", elem_id="models",
                    )  # fmt: skip
                with gr.Column():
                    seen = gr.Image(label="What they see", elem_id="seen", **SHOWN)
                    answers = gr.HTML(_note(HINT), elem_id="answers")
            gr.on([face.change, models.change], compare, [face, models], [seen, answers])
    return page


def _picture(gr: Any, name: str) -> Any:
    sources = ["upload", "webcam", "clipboard"]
    return gr.Image(
        sources=sources, type="numpy", label="Photo", elem_id=name, image_mode="RGB",
        height=HEIGHT, buttons=["fullscreen"],
    )  # fmt: skip


def photo(
    recogniser: Recogniser, network: Choice, image: np.ndarray | None
) -> tuple[np.ndarray | None, str]:
    """Return a photo with its faces marked, and what a network says of them, as HTML.

    Args:
        recogniser: Finds the faces.
        network: Tells their expressions.
        image: Red, green and blue, (H, W, 3), uint8; None for no photo.
    """
    if image is None:
        return None, _note(HINT)
    picture = as_picture(image)
    found = recogniser.detector.detect(picture.pixels)
    if not len(found):
        return image, _note(NOBODY)
    probabilities = network.model(crops(picture.pixels, found, recogniser.image_size))
    faces = faces_of(found, probabilities)
    cards = {f"Face {i}": face.probabilities for i, face in enumerate(faces, 1)}
    return annotated(picture.pixels, faces), _cards(cards)


def side_by_side(
    recogniser: Recogniser, models: Sequence[Choice], image: np.ndarray | None
) -> tuple[np.ndarray | None, str]:
    """Return the largest face of a photo as models see it, and what each says, as HTML."""
    if image is None:
        return None, _note(HINT)
    picture = as_picture(image)
    found = recogniser.detector.detect(picture.pixels)
    if not len(found):
        return None, _note(NOBODY)
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    (face,) = crops(picture.pixels, found[[int(sides.argmax())]], recogniser.image_size)
    cards = {
        choice.name: dict(zip(CLASSES, choice.model(face[None])[0].tolist(), strict=True))
        for choice in models
    }
    large = face.repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    return large, _cards(cards) if cards else _note("Choose a model.")


def _note(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _cards(answers: Mapping[str, Mapping[str, float]]) -> str:
    """Return a card with bars for each title."""
    each = (
        f'<div class="answer"><h4>{html.escape(title)}</h4>{_bars(probabilities)}</div>'
        for title, probabilities in answers.items()
    )
    return f'<div class="answers">{"".join(each)}</div>'


def _bars(probabilities: Mapping[str, float]) -> str:
    surest = max(probabilities.values())
    return "".join(
        f'<div class="bar{" top" * (p == surest)}"><span>{name}</span><div class="track">'
        f'<div style="width:{100 * p:.1f}%;background:{EXPRESSIONS[name]}"></div></div>'
        f"<span>{p:.0%}</span></div>"
        for name, p in probabilities.items()
    )
