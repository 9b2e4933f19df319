"""The parsers by name."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Literal, get_args

from pyg_sgm.text import rules
from pyg_sgm.text.learned import LearnedParser
from pyg_sgm.text.parsed_caption import ParsedCaption

Backend = Literal["learned", "rules"]


def parse(caption: str, backend: Backend = "learned") -> ParsedCaption:
    """Turns a caption into a scene graph.

    Any string gives a graph, if need be an empty one.

    Args:
        caption (str): An English caption.
        backend (Backend, optional): ``"learned"``, a small network that comes with the package, or
            ``"rules"``, rules on spaCy's dependency trees (extra ``text``). (default:
            :obj:`"learned"`)

    Raises:
        ValueError: If the caption is not a string or there is no such backend.
        ImportError: If the rules are asked for and spaCy or its English pipeline is missing.

    Example:
        >>> print(parse("a young man in a red shirt rides a brown horse on the beach"))
        man (young)
        shirt (red)
        horse (brown)
        beach
        man -- ride -> horse
        man -- wear -> shirt
        horse -- on -> beach
    """
    return parse_batch([caption], backend)[0]


def parse_batch(
    captions: Sequence[str], backend: Backend = "learned", batch_size: int = 256
) -> list[ParsedCaption]:
    """Turns captions into scene graphs, in their order.

    Args:
        captions (list of str): English captions.
        backend (Backend, optional): See :func:`parse`. (default: :obj:`"learned"`)
        batch_size (int, optional): Captions that go through the network together. (default:
            :obj:`256`)

    Raises:
        ValueError: If something in ``captions`` is not a string or there is no such backend.
        ImportError: If the rules are asked for and spaCy or its English pipeline is missing.

    Example:
        >>> [parsed.objects for parsed in parse_batch(["two dogs", "", "a cat on a mat"])]
        [('dog',), (), ('cat', 'mat')]
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend: expected one of {get_args(Backend)}, got {backend!r}")
    for at, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise ValueError(f"captions[{at}]: expected a string, got {type(caption).__name__}")
    if not captions:
        return []
    if backend == "rules":
        return rules.parse_batch(captions, batch_size)
    return _learned_parser().parse_batch(captions, batch_size)


def parse_stream(
    captions: Iterable[str], backend: Backend = "learned", batch_size: int = 256
) -> Iterator[ParsedCaption]:
    """Turns captions into scene graphs as they come, for files that need a progress bar.

    Args:
        captions (list of str): English captions.
        backend (Backend, optional): See :func:`parse`. (default: :obj:`"learned"`)
        batch_size (int, optional): Captions read and parsed together. (default: :obj:`256`)

    Example:
        >>> next(parse_stream(iter(["a dog"]))).objects
        ('dog',)
    """
    captions = iter(captions)
    while some := list(islice(captions, batch_size)):
        yield from parse_batch(some, backend, batch_size)


@lru_cache(maxsize=1)
def _learned_parser() -> LearnedParser:
    return LearnedParser.load()
