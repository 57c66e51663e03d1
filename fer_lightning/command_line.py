"""Words of a command line that are no overrides, such as the runs to evaluate."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

FLAGS_WITH_A_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--info", "-i"),
    *("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"),
)


def flags_first(words: Sequence[str]) -> list[str]:
    """The same words, but flags before all others: Hydra knows none behind an override."""
    flags = [i for i in range(len(words)) if _is_flag(words, i)]
    others = [word for i, word in enumerate(words) if i not in flags]
    return [*(words[i] for i in flags), *others]


def gather_words(words: Sequence[str], name: str) -> list[str]:
    """The same command line with its plain words as one override of a list.

    Args:
        words: All words. Plain are those that are neither flags nor overrides; one with = in it is
            plain if there is a file or folder of that name.
        name: The setting that lists the plain words.
    """
    others: list[str] = []
    plain: list[str] = []
    for i, word in enumerate(words):
        is_override = re.match(r"[+~]{0,2}[\w./@:-]+=", word) and not Path(word).exists()
        (others if _is_flag(words, i) or is_override else plain).append(word)
    return [*others, f"{name}=[{','.join(map(quoted, plain))}]"] if plain else others


def _is_flag(words: Sequence[str], i: int) -> bool:
    """Whether a word is a flag, or the value of the flag before it."""
    return words[i].startswith("-") or (i > 0 and words[i - 1] in FLAGS_WITH_A_VALUE)


def quoted(word: str) -> str:
    """A word as a value of Hydra's grammar, whatever it holds."""
    # Hydra would take ${ in a name for an interpolation.
    return QuotedString(word.replace("${", r"\${"), Quote.single).with_quotes()
