"""The pictures of a set that are taken, with the labels and splits that are said of them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from logging import getLogger

from fer_lightning.data.sources.label_list import listed_name, listed_pictures, read_label_list
from fer_lightning.data.sources.picture_names import (
    SPLIT_FOLDERS,
    Picture,
    first_group,
    in_class_folder,
    split_above,
)
from fer_lightning.errors import InputError, SettingError, require
from fer_lightning.files import FileTree

# Lists of known sets, which are there in some of their forms.
USED_IF_THERE = ("list_patition_label.txt",)

log = getLogger(__name__)


@dataclass(frozen=True)
class LabelledPictures:
    """Where the label, the split and the view of a picture stand; see `ClassFolders`.

    Raises:
        SettingError: A setting breaks its rule.
    """

    label_pattern: str | None
    label_list: str | None
    split_pattern: str | None
    view_pattern: str | None
    views: Sequence[str] | None

    def __post_init__(self) -> None:
        for setting in ("label_pattern", "split_pattern", "view_pattern"):
            require_pattern(setting, getattr(self, setting))
        if self.views is not None:
            is_list = isinstance(self.views, Sequence) and not isinstance(self.views, str)
            require(is_list and len(self.views) > 0, "views", "be a list such as [S]", self.views)
            given = self.view_pattern is not None
            require(given, "view_pattern", "be given where views are", self.view_pattern)
        if self.label_list is not None:
            is_name = isinstance(self.label_list, str) and "/" not in self.label_list
            require(is_name, "label_list", "be the name of a file alone", self.label_list)

    def find(self, tree: FileTree, names: Sequence[str]) -> list[Picture]:
        """Return the pictures with their labels as they come, and the splits that they say.

        Args:
            tree: Where they are.
            names: The pictures there, from which those of the views are taken.

        Raises:
            InputError: A picture says none, or a setting does not go with what is there.
        """
        pictures = self._labelled(tree, self._in_views(str(tree.path), names))
        if self.split_pattern is None:
            return pictures
        if all(picture.split for picture in pictures):
            log.info("%s: its folders say the splits, and split_pattern is not used", tree.path)
            return pictures
        return [replace(p, split=self._split_of(tree, p.name)) for p in pictures]

    def _in_views(self, where: str, names: Sequence[str]) -> list[str]:
        """Return the names of the pictures that show one of the views."""
        if self.views is None or self.view_pattern is None:
            return list(names)
        seen = {name: first_group(self.view_pattern, name) for name in names}
        wanted = [str(view).lower() for view in self.views]
        there = Counter(view.upper() for view in seen.values() if view is not None)
        for view in wanted:
            if view.upper() not in there:
                rule = f"be views that are there ({', '.join(there) or 'none'})"
                raise SettingError("views", rule, list(self.views))
        without = [name for name, view in seen.items() if view is None]
        if without:
            told = "%s: %d pictures are passed over, as view_pattern finds no view in %r and so on"
            log.warning(told, where, len(without), without[0])
        return [name for name, view in seen.items() if view is not None and view.lower() in wanted]

    def _labelled(self, tree: FileTree, names: Sequence[str]) -> list[Picture]:
        lists = [n for n in tree.names() if n.split("/")[-1] == self.label_list]
        if lists and self.label_pattern is not None:
            rule = f"be null where label_list is there ({lists[0]}), or label_list be null"
            raise SettingError("label_pattern", rule, self.label_pattern)
        if not lists and self.label_list not in (None, *USED_IF_THERE):
            raise SettingError("label_list", "be in the data set", self.label_list)
        if lists:
            return self._listed(tree, lists, names)
        if self.label_pattern is not None:
            return [self._by_name(tree, name) for name in names]
        return [in_class_folder(tree, name) for name in names]

    def _listed(self, tree: FileTree, lists: Sequence[str], names: Sequence[str]) -> list[Picture]:
        if len(lists) > 1:
            rule = "must be there once"
            raise InputError(f"{tree.path}: {self.label_list} {rule}, got {lists[0]}, {lists[1]}")
        labels = read_label_list(tree, lists[0])
        found = listed_pictures(names, labels)
        if not found:
            rule = "must name the pictures that are there"
            raise InputError(f"{tree.path}: {lists[0]} {rule}, got none, such as {names[0]!r}")
        if len(found) < len(labels):
            told = "%s: %d of %d pictures that %s names are there"
            log.warning(told, tree.path, len(found), len(labels), lists[0])
        passed_over = [n for n in names if n not in found and listed_name(n) not in labels]
        if passed_over:
            told = "%s: %d pictures are passed over, as %s does not name %r and so on"
            log.warning(told, tree.path, len(passed_over), lists[0], passed_over[0])
        return [
            Picture(name, label, f"the label of {name!r}", split_above(name))
            for name, label in found.items()
        ]

    def _by_name(self, tree: FileTree, name: str) -> Picture:
        found = first_group(str(self.label_pattern), name)
        if found is None:
            raise InputError(
                f"{tree.path}: label_pattern {self.label_pattern!r} must find every file name, "
                f"got none in {name!r}"
            )
        return Picture(name, found, f"the label in the name of {name!r}", split_above(name))

    def _split_of(self, tree: FileTree, name: str) -> str:
        split = first_group(str(self.split_pattern), name)
        if split is None or split.lower() not in SPLIT_FOLDERS:
            raise InputError(
                f"{tree.path}: split_pattern {self.split_pattern!r} must find train, val or test "
                f"in every file name, got {split!r} in {name!r}"
            )
        return SPLIT_FOLDERS[split.lower()]


def require_pattern(setting: str, pattern: str | None) -> None:
    """Raise a `SettingError` unless the setting is null or a pattern that finds one thing."""
    rule = "be a regular expression with one group"
    try:
        n_groups = 1 if pattern is None else re.compile(pattern).groups
    except (re.error, TypeError) as error:
        raise SettingError(setting, rule, pattern) from error
    require(n_groups == 1, setting, rule, pattern)
