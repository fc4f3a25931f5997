"""What buyers talk about: aspects that any shop has, and those that its reviews name again and again.

Found aspects are nouns that occur in many reviews (Hu and Liu 2004, "Mining and Summarizing Customer
Reviews", section 3.2). No tagger but the word beside it tells a noun: in English an article or a possessive
before it, in Chinese an adverb of degree behind it.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from aisle.data.errors import InputError
from aisle.ranker.sentiment.settings import AspectSettings

WORD = re.compile(r"[a-z][a-z'-]+")
NOUN_SHARE = 0.3
"""Share of a word's places beside what tells a noun (`nouns.toml`) from which on it is one."""

SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|\n+|(?<=;)\s+")


@dataclass(frozen=True)
class Aspect:
    """Something that buyers talk about.

    Attributes:
        name: of it.
        words: that name it, in lower case; an English one matches as a whole word, any other one anywhere.
        found: whether it was found in the reviews.
    """

    name: str
    words: tuple[str, ...]
    found: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches a text in lower case that names the aspect."""
        spaced = [re.escape(word) for word in self.words if word.isascii()]
        others = [re.escape(word) for word in self.words if not word.isascii()]
        whole = [rf"\b(?:{'|'.join(spaced)})\b"] if spaced else []
        return re.compile("|".join([*whole, *others]))


def read_aspects(path: Path | None = None) -> list[Aspect]:
    """Aspects of a TOML file, or those that any shop has.

    Raises:
        InputError: it cannot be read, or an aspect has no words.
    """
    try:
        tables = tomllib.loads(_file("aspects.toml") if path is None else path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("a TOML file of aspects", f"{path}: {error}", "see docs/sentiment.md") from error
    aspects = []
    for name, table in tables.items():
        words = table.get("words") if isinstance(table, dict) else None
        if (
            not isinstance(words, list)
            or not words
            or not all(isinstance(word, str) and word for word in words)
        ):
            raise InputError(f"[{name}] with words = [...]", f"{words!r}", "list the words that name it")
        aspects.append(Aspect(name, tuple(word.lower() for word in words), bool(table.get("found", False))))
    if not aspects:
        raise InputError("at least one aspect", f"none in {path}", "see docs/sentiment.md")
    return aspects


def as_toml(aspects: Sequence[Aspect]) -> str:
    """A file that :func:`read_aspects` reads back, for editing."""
    tables = []
    for aspect in aspects:
        name, words = (json.dumps(value, ensure_ascii=False) for value in (aspect.name, list(aspect.words)))
        tables.append(f"[{name}]\nwords = {words}\n" + ("found = true\n" if aspect.found else ""))
    return "\n".join(tables)


def find_aspects(texts: Iterable[str], known: Sequence[Aspect], settings: AspectSettings) -> list[Aspect]:
    """`known`, and what many of `texts` name besides; the most frequent first.

    Args:
        texts: reviews.
        known: aspects whose words are not found again.
        settings: how many are found, and how frequent they are.
    """
    signs = tomllib.loads(_file("nouns.toml"))
    articles, degree = (
        set(signs["before"]),
        re.compile(rf"([\u4e00-\u9fff]{{2}})(?:{'|'.join(signs['behind'])})"),
    )
    named, nouns, everywhere, total = Counter[str](), Counter[str](), Counter[str](), 0
    for text in texts:
        total += 1
        words = WORD.findall(text.lower())
        behind = [word for before, word in pairwise(words) if before in articles]
        chinese = degree.findall(text)
        everywhere.update(words)
        nouns.update(behind)
        named.update({*behind, *chinese})
        nouns.update(chinese)
        everywhere.update(chinese)
    taken = {word for aspect in known for word in aspect.words} | articles | set(signs["nothing"])
    found: dict[str, list[str]] = {}
    for word, reviews in sorted(named.items(), key=lambda one: (-one[1], one[0])):
        share = reviews / total
        noun = nouns[word] >= NOUN_SHARE * everywhere[word]
        if word in taken or len(word) < 2 or not noun or share > settings.most_share:
            continue
        singular = word.removesuffix("s")
        if singular in found:
            found[singular].append(word)
        elif f"{word}s" in found:
            found[f"{word}s"].append(word)
        elif share >= settings.least_share and len(found) < settings.found:
            found[word] = [word]
    return [*known, *(Aspect(name, tuple(words), found=True) for name, words in found.items())]


def sentences(text: str) -> list[str]:
    """Sentences of a text, in order, without the space around them.

    >>> sentences("Good price. But it broke!  质量很好。物流慢")
    ['Good price.', 'But it broke!', '质量很好。', '物流慢']
    """
    return [part.strip() for part in SENTENCE.split(text) if part.strip()]


def _file(name: str) -> str:
    return (files("aisle.ranker.sentiment") / name).read_text("utf-8")
