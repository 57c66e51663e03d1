"""The page of an audit: pairs side by side, groups, empty pictures, contradicted labels."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.resources import files
from string import Template

import numpy as np
from PIL import Image

from fer_lightning.audit.found import Found
from fer_lightning.data import CLASSES, FINDINGS, SPLITS

MOST = 120  # cards in a section
MOST_MEMBERS = 12  # faces of a group


def page(found: Found, name: str, made: datetime) -> str:
    """Return the page as HTML that needs no other file.

    Args:
        found: What it shows.
        name: Of the data set.
        made: When it is made.
    """
    sections = [
        _pairs(found, "held-out", "In training and again in validation or test", _across(found)),
        _groups(found),
        _pairs(found, "within", "Twice in one split", _within(found)),
        _pairs(found, "mirrored", "Mirrored", found.pairs.mirrored.numpy()),
        _empty(found),
        _contradicted(found),
    ]
    here = files("fer_lightning.audit")
    template = Template((here / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        name=html.escape(name),
        made=made.strftime("%Y-%m-%d %H:%M"),
        fingerprint=found.fingerprint,
        tiles="".join(f"<li><strong>{n:,}</strong> {what}</li>" for n, what in _tiles(found)),
        counts=_counts(found),
        sections="\n".join(sections),
    )


def _tiles(found: Found) -> list[tuple[int, str]]:
    twinned = [n for n, _ in found.in_training()]
    return [
        (len(found.faces), "faces"),
        (len(found.members), "groups that show the same"),
        (len(found.conflicts), "of them with different labels"),
        (twinned[1], "validation faces with a twin in training"),
        (twinned[2], "test faces with a twin in training"),
        (int(found.empty.sum()), "empty pictures"),
    ]


def _counts(found: Found) -> str:
    counts = found.counts()
    rows = [
        f"<tr><th scope='row'>{name}</th>"
        + "".join(f"<td>{n:,}</td>" for n in (*counts[name], sum(counts[name])))
        + "</tr>"
        for name in FINDINGS
        if name != "label" or found.labels
    ]
    heads = "".join(f"<th scope='col'>{split}</th>" for split in (*SPLITS, "all"))
    return f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _across(found: Found) -> np.ndarray:
    a, b = found.split[found.pairs.first], found.split[found.pairs.second]
    return (a == 0) & (b > 0)


def _within(found: Found) -> np.ndarray:
    return np.asarray(found.split[found.pairs.first] == found.split[found.pairs.second])


def _pairs(found: Found, id_: str, title: str, which: np.ndarray) -> str:
    """Return a section with pairs, the least similar first."""
    rows = np.flatnonzero(which)
    rows = rows[np.argsort(found.pairs.similarity.numpy()[rows], kind="stable")]
    cards = []
    for pair in rows[:MOST].tolist():
        faces = (int(found.pairs.first[pair]), int(found.pairs.second[pair]))
        told = f"{found.kind(pair)} {float(found.pairs.similarity[pair]):.3f}"
        cards.append(_card(found, faces, told))
    return _section(
        id_, title, _shown(len(cards), len(rows), "pairs, the least similar first"), cards
    )


def _groups(found: Found) -> str:
    """Return a section with groups whose labels differ, those with most labels first."""
    labels = found.faces.labels.numpy()
    groups = sorted(found.conflicts.values(), key=lambda m: (-len(np.unique(labels[m])), -len(m)))
    cards = []
    for members in groups[:MOST]:
        more = len(members) - MOST_MEMBERS
        told = f"{len(members)} faces" + (f", {more} not shown" if more > 0 else "")
        cards.append(_card(found, members[:MOST_MEMBERS].tolist(), told))
    said = _shown(len(cards), len(groups), "groups, those with most labels first")
    return _section("conflicts", "The same picture with different labels", said, cards)


def _empty(found: Found) -> str:
    rows = found.empty.nonzero().flatten().tolist()
    cards = [_card(found, [face], "") for face in rows[:MOST]]
    return _section("empty", "Empty pictures", _shown(len(cards), len(rows), "pictures"), cards)


def _contradicted(found: Found) -> str:
    title = "Labels that networks contradict"
    if found.labels is None:
        return _section("labels", title, "runs= names the networks that are asked.", [])
    rows = list(zip(found.labels.rows.tolist(), found.labels.suggested.tolist(), strict=True))
    margins = found.labels.margin.tolist()
    cards = [
        _card(found, [face], f"→ {CLASSES[label]} {margin:.2f}")
        for (face, label), margin in zip(rows[:MOST], margins, strict=False)
    ]
    return _section(
        "labels", title, _shown(len(cards), len(rows), "faces, the surest first"), cards
    )


def _shown(n: int, n_all: int, what: str) -> str:
    return (
        f"{n:,} of {n_all:,} {what}." if n < n_all else f"All {n_all:,} {what}." if n else "None."
    )


def _section(id_: str, title: str, said: str, cards: Iterable[str]) -> str:
    below = "".join(cards)
    body = f"<div class='cards'>{below}</div>" if below else ""
    return f"<section id='{id_}'><h2>{title}</h2><p class='note'>{said}</p>{body}</section>"


def _card(found: Found, faces: Sequence[int], told: str) -> str:
    """Return faces side by side, each with split, index and label, and a line for all of them."""
    labels = {found.label(face) for face in faces}
    shown = "".join(
        f"<span><img src='{_picture(found, face)}' alt='' width='96' height='96' loading='lazy'>"
        f"<small>{found.name(face)}</small>"
        f"<small class='{'differs' if len(labels) > 1 else 'label'}'>{found.label(face)}</small>"
        "</span>"
        for face in faces
    )
    said = f"<figcaption>{told}</figcaption>" if told else ""
    return f"<figure><div>{shown}</div>{said}</figure>"


def _picture(found: Found, face: int) -> str:
    out = io.BytesIO()
    Image.fromarray(found.faces.images[face, 0].numpy()).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
