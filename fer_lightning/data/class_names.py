"""Labels as they come in folders, tables, lists and file names, and the classes that they mean."""

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import yaml

from fer_lightning.errors import InputError, SettingError
from fer_lightning.files import plain_yaml

CLASSES = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SYNONYMS = {
    "anger": ("anger", "angry"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful", "afraid"),
    "happy": ("happy", "happiness"),
    "sad": ("sad", "sadness"),
    "surprise": ("surprise", "surprised"),
    "neutral": ("neutral", "neutrality", "normal"),
}
LABELS = {word: CLASSES.index(name) for name, words in SYNONYMS.items() for word in words}
LEAVE_OUT, LEFT_OUT = "leave_out", -1
OUTSIDE = ("contempt", "contemptuous", "none", "uncertain")  # what people leave out
TOLD, LONG = 40, 80  # names in a message, and characters of each, at most

Map = Mapping[object, object]


@dataclass(frozen=True)
class ClassNames:
    """What the labels of a data set mean.

    A label is looked up in `classes`, then in `codes`, then among the seven classes and their
    synonyms; then again without a number before it, as in `0_angry`. Letters may be of any case.

    Args:
        classes: What the user says: a label as it comes -> one of the seven, a synonym, or None or
            `leave_out` for faces that are left out; or the same as text. Each label must occur.
        codes: What is known of the data set, in the same form; its labels need not occur.
        leave_out: More labels whose faces are left out; they need not occur either.

    Raises:
        SettingError: One of these breaks its rule.
    """

    classes: Map | str | None = None
    codes: Map | None = None
    leave_out: Sequence[object] = ()

    def __post_init__(self) -> None:
        if isinstance(self.leave_out, str) or not isinstance(self.leave_out, Sequence):
            raise SettingError("leave_out", "be a list such as [contempt]", self.leave_out)
        both = [name for name in map(_key, self.leave_out) if name in self._given]
        if both:
            raise SettingError("leave_out", "have no name that classes has too", both[0])
        _ = self._known

    @cached_property
    def _given(self) -> dict[str, int]:
        return _labels_of("classes", self.classes)

    @cached_property
    def _known(self) -> dict[str, int]:
        left_out = dict.fromkeys(map(_key, self.leave_out), LEFT_OUT)
        return LABELS | _labels_of("codes", self.codes) | left_out | self._given

    def labels(self, found: Sequence[str], where: str, places: Sequence[str]) -> np.ndarray:
        """Return the label of each face, (N,), -1 where it is left out.

        Args:
            found: Its label as it comes, (N,).
            where: The data set, for messages.
            places: What each label was found in, (N,), for messages.

        Raises:
            InputError: A label is unknown, or one of `classes` does not occur.
        """
        first: dict[str, int] = {}  # NumPy would give all names the room of the longest
        for i, name in enumerate(found):
            first.setdefault(name, i)
        known = {name: self._place(name) for name in sorted(first)}
        unknown = [name for name, key in known.items() if key is None]
        if unknown:
            raise InputError(self._unknown(unknown, where, places[first[unknown[0]]]))
        unused = self._given.keys() - set(known.values())
        if unused:
            rule = f"have only names that are found ({_listed(known)})"
            raise SettingError("classes", rule, min(unused))
        labels = {name: self._known[str(key)] for name, key in known.items()}
        return np.array([labels[name] for name in found], dtype=np.int64)

    def _place(self, name: str) -> str | None:
        """Return the key under which a label is known, or None."""
        key = _key(name)
        keys = (key, re.sub(r"^\d+[_-]", "", key))
        return next((k for k in keys if k in self._known), None)

    def _unknown(self, unknown: Sequence[str], where: str, place: str) -> str:
        """Return the message about labels that are not known, with the map that would do."""
        given = _mapping(self.classes)
        told = {str(n): LEAVE_OUT if c is None else str(c) for n, c in given.items()}
        for name in (name for name in unknown[:TOLD] if len(name) <= LONG):
            told[name] = LEAVE_OUT if _key(name) in OUTSIDE else "CLASS"
        one_of = [*_span(_labels_of("codes", self.codes)), *CLASSES]
        for_each = f" with one of these or {LEAVE_OUT} for each CLASS" * ("CLASS" in told.values())
        return (
            f"{where}: {place} must be one of {', '.join(one_of)} or a synonym, "
            f"got {_listed(unknown)}; type {typed(told)}{for_each}"
        )


def typed(classes: Mapping[str, str]) -> str:
    """Return a map of labels as one types it in a shell, in the grammar of Hydra.

    Where that has no way to write a name (ärger, it's, null), the map is text.
    """
    if "null" not in map(str.lower, classes) and all(
        re.fullmatch(r"[\w.\-+/@%$*?|\\()\[\]{}:=, ]+", name, re.ASCII) for name in classes
    ):
        names = (re.sub(r"([\\()\[\]{}:=, ])", r"\\\1", name) for name in classes)
        pairs = zip(names, classes.values(), strict=True)
        return shlex.quote(f"data.classes={{{','.join(f'{n}:{c}' for n, c in pairs)}}}")
    text = yaml.safe_dump(
        {int(name) if name.isdecimal() else name: c for name, c in classes.items()},
        default_flow_style=True,
        allow_unicode=True,
        width=10**6,
        sort_keys=False,
    )
    escaped = text.strip().replace("\\", "\\\\").replace('"', '\\"')
    return shlex.quote(f'data.classes="{escaped}"')


def _key(name: object) -> str:
    """Return a label as it is compared: as text, in small letters, accents composed."""
    return "null" if name is None else unicodedata.normalize("NFC", str(name)).strip().lower()


def _mapping(given: Map | str | None) -> Map:
    """Return a map that may be given as text.

    Raises:
        ValueError: It is none.
    """
    if isinstance(given, str):
        try:
            given = plain_yaml(given)
        except (RecursionError, yaml.YAMLError) as error:
            raise ValueError(given) from error
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(given)
    return given


def _labels_of(setting: str, given: Map | str | None) -> dict[str, int]:
    """Return the label, or -1, of each name in a map.

    Raises:
        SettingError: It is no map, has two names that are equal, or maps to something else.
    """
    try:
        mapping = _mapping(given)
    except ValueError as error:
        raise SettingError(setting, "be a map such as {1:happy,2:leave_out}", given) from error
    labels: dict[str, int] = {}
    for name, target in mapping.items():
        key, word = _key(name), LEAVE_OUT if target is None else _key(target)
        if key in labels:
            rule = "have each name once, whatever the case of its letters"
            raise SettingError(setting, rule, str(name))
        if word != LEAVE_OUT and word not in LABELS:
            rule = f"map each name to one of {', '.join(CLASSES)}, a synonym, or {LEAVE_OUT}"
            raise SettingError(setting, rule, {str(name): target})
        labels[key] = LABELS.get(word, LEFT_OUT)
    return labels


def _span(names: Iterable[str]) -> list[str]:
    """Return names, those that are all numbers in a row as `0..6`."""
    told = list(names)
    numbers = sorted(int(name) for name in told if re.fullmatch(r"\d{1,9}", name))
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        others = [name for name in told if not name.isdecimal()]
        return [f"{numbers[0]}..{numbers[-1]}", *others]
    return told


def _listed(names: Iterable[str]) -> str:
    told = list(names)
    more = f", ... ({len(told)})" if len(told) > TOLD else ""
    return ", ".join(repr(name[:LONG]) for name in told[:TOLD]) + more
