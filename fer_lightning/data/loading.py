"""The faces that a run sees: read, dealt out to folds, and without those that an audit drops."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fer_lightning.data.cache import load
from fer_lightning.data.class_names import CLASSES
from fer_lightning.data.faces import Faces, FaceSplits, Source, cross_validated
from fer_lightning.data.findings import (
    DROPPED,
    REMEDY,
    TWINS,
    Finding,
    Findings,
    read_findings,
    require_findings,
)
from fer_lightning.errors import InputError, SettingError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedFaces:
    """The faces of a data set as they are used, and which ones of it they are.

    Attributes:
        whole: The splits that the data set has, in canonical order.
        splits: Those in use: after cross-validation, and without the faces that are left out.
        keys: Of each face of `splits`, by split, its position among the training, validation and
            test faces of `whole` together, (n,) int64.
        left_out: How many training faces an audit leaves out.
    """

    whole: FaceSplits
    splits: FaceSplits
    keys: Mapping[str, Tensor]
    left_out: int = 0

    def keys_of(self, findings: Findings, name: str) -> list[tuple[int, Finding]]:
        """Return the findings of an audit with the positions of their faces, as `keys` has them.

        Args:
            findings: What the audit says.
            name: The setting that names its file, for errors.

        Raises:
            InputError: It is about other faces.
        """
        fingerprint = self.whole.fingerprint()
        if findings.fingerprint not in (None, fingerprint):
            raise InputError(
                f"{name} must be the audit.csv of these faces, whose fingerprint is {fingerprint}, "
                f"got {findings.path!r} of {findings.fingerprint}; {REMEDY}"
            )
        starts = _starts(self.whole)
        for found in findings.rows:
            labels = getattr(self.whole, found.split).labels
            if found.row >= len(labels) or CLASSES[labels[found.row]] != found.label:
                raise InputError(
                    f"{name} must be an audit.csv, got {findings.path!r} (row {found.row} of "
                    f"{found.split} is not {found.label!r}); {REMEDY}"
                )
        return [(starts[found.split] + found.row, found) for found in findings.rows]


def loaded(
    source: Source,
    cache_dir: str | Path | None = None,
    cv_folds: int | None = None,
    cv_fold: int | None = None,
    drop: str | Path | None = None,
    drop_findings: Sequence[str] = DROPPED,
) -> LoadedFaces:
    """Return the faces of a source as a run uses them.

    Args:
        source: Where the faces come from.
        cache_dir: Folder where decoded faces are kept, or None.
        cv_folds: See `cross_validated`.
        cv_fold: See `cross_validated`.
        drop: An `audit.csv`, whose faces are left out of training, or None.
        drop_findings: By which of its findings.

    Raises:
        InputError: The faces or the file cannot be read, or do not belong together.
    """
    require_findings(drop_findings)
    findings = None if drop is None else read_findings(drop, "data.drop")
    whole = load(source, cache_dir)
    splits = cross_validated(whole, cv_folds, cv_fold)
    keyed = cross_validated(_keyed(whole), cv_folds, cv_fold)
    all_faces = LoadedFaces(whole, splits, {split: faces.index for split, faces in keyed})
    if findings is None:
        return all_faces
    return _without(all_faces, all_faces.keys_of(findings, "data.drop"), drop_findings)


def loaded_by(source: Source, settings: Mapping[Any, Any]) -> LoadedFaces:
    """Return the same as `loaded`, by the settings of `conf/loading.yaml`; older runs lack some."""
    names = ("cache_dir", "cv_folds", "cv_fold", "drop", "drop_findings")
    return loaded(source, **{n: settings[n] for n in names if settings.get(n) is not None})


def _starts(whole: FaceSplits) -> dict[str, int]:
    """Return the key of the first face of each split."""
    sizes = whole.sizes()
    return {"train": 0, "val": sizes["train"], "test": sizes["train"] + sizes["val"]}


def _keyed(whole: FaceSplits) -> FaceSplits:
    """Return the splits with keys in the place of the index, and without their pictures."""
    starts = _starts(whole)
    return FaceSplits(
        *(
            Faces(faces.labels, faces.labels, faces.subjects, starts[s] + torch.arange(len(faces)))
            for s, faces in whole
        )
    )


def _without(
    found: LoadedFaces, findings: Iterable[tuple[int, Finding]], drop_findings: Collection[str]
) -> LoadedFaces:
    """Return the same faces without the training faces that an audit drops, and log how many."""
    keys = found.keys["train"]
    dropped = dropped_keys([f for f in findings if f[1].finding in drop_findings], keys.tolist())
    stays = ~torch.isin(keys, torch.tensor(sorted(dropped), dtype=torch.int64))
    rows = stays.nonzero().flatten()
    n_left_out = len(keys) - len(rows)
    if not len(rows):
        raise SettingError("drop", "leave faces to train on", "all of them")
    log.info(
        "%s of %s training faces are left out (data.drop)", f"{n_left_out:,}", f"{len(keys):,}"
    )
    splits = replace(found.splits, train=found.splits.train.take(rows))
    return LoadedFaces(found.whole, splits, {**found.keys, "train": keys[rows]}, n_left_out)


def dropped_keys(findings: Sequence[tuple[int, Finding]], train: Iterable[int]) -> set[int]:
    """Return which training faces are left out.

    Of pictures that show the same, all training faces are left out if their labels differ or one of
    them validates or tests, and else all but the first. Empty pictures and contradicted labels are
    left out wherever they are listed.

    Args:
        findings: The keys of faces, and what is found; findings that do not count are not in it.
        train: Keys of the training faces.
    """
    trained = set(train)
    dropped = {key for key, found in findings if found.finding not in TWINS} & trained
    groups: dict[int | None, list[int]] = defaultdict(list)
    for key, found in findings:
        if found.finding in TWINS:
            groups[found.group].append(key)
    for members in groups.values():
        left = sorted(trained.intersection(members) - dropped)
        dropped.update(left if not trained.issuperset(members) else left[1:])
    return dropped


def twins_in_training(found: LoadedFaces, path: str | Path, split: str, name: str) -> Tensor:
    """Return whether each face of a split has a twin among the training faces, (n,), bool.

    Args:
        found: The faces, with the training faces of a run.
        path: The `audit.csv` that knows the twins.
        split: `train`, `val` or `test`.
        name: The setting that names the file, for errors.

    Raises:
        InputError: The file cannot be read, or is about other faces.
    """
    twins = [f for f in found.keys_of(read_findings(path, name), name) if f[1].finding in TWINS]
    trained = set(found.keys["train"].tolist())
    in_training: dict[int | None, set[int]] = defaultdict(set)
    for key, of in twins:
        if key in trained:
            in_training[of.group].add(key)
    having = {key for key, of in twins if in_training[of.group] - {key}}
    return torch.tensor([key in having for key in found.keys[split].tolist()], dtype=torch.bool)
