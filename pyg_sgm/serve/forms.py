"""What is asked of the service and what it answers, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pyg_sgm.serve._fastapi import BaseModel, ConfigDict, Field

MOST_LETTERS = 1000  # of a sentence
MOST_WORDS = 200  # of a query
MOST_ANSWERS = 200

Text = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS)]
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Phrase = Annotated[str, Field(min_length=1, max_length=100)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filter(_Form):
    """A condition on what is known of the photos."""

    field: Annotated[str, Field(description="A field that /api/info lists.")]
    op: Literal["=", "!=", "<", "<=", ">", ">=", "contains"]
    value: (
        Annotated[str, Field(max_length=200)]
        | bool
        | int
        | Annotated[float, Field(allow_inf_nan=False)]
    )


class Options(_Form):
    """How much is wanted, and of which photos."""

    k: Annotated[int, Field(ge=1, le=MOST_ANSWERS, description="Answers.")] = 24
    filters: Annotated[list[Filter], Field(max_length=10, default_factory=list)]
    threshold: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="No answer scores less."),
    ] = None


class Search(Options):
    """One of a sentence, a query and a photo of the index."""

    text: Annotated[Text | None, Field(description="A sentence.")] = None
    query: Annotated[
        dict[str, Any] | None,
        Field(description="What /api/parse and /api/edit give: graphs, exclusions, weights."),
    ] = None
    like: Annotated[Name | None, Field(description="The id of a photo.")] = None


class Sentence(_Form):
    """A sentence to be read."""

    text: Text


class Edit(_Form):
    """One change of a query's graph. ``exclude`` turns a node into an exclusion; ``allow`` drops
    the exclusion ``index``."""

    do: Literal[
        "swap", "rename", "remove", "exclude", "allow",
        "add_object", "add_attribute", "add_relation",
    ]  # fmt: skip
    kind: Literal["object", "attribute", "relation"] = "object"
    index: Annotated[int, Field(ge=0)] = 0
    phrase: Annotated[Phrase | None, Field(description="The new words.")] = None
    target: Annotated[int, Field(ge=0, description="Object of a new relation.")] = 0


class Edits(_Form):
    """A query and what to change."""

    query: dict[str, Any]
    edit: Edit


class Explained(_Form):
    """A photo and the query that it is compared with."""

    id: Name
    query: dict[str, Any]


class Found(BaseModel):
    """One photo that was found."""

    id: str
    rank: int
    score: float
    levels: dict[str, float]
    missing: list[str]
    metadata: dict[str, Any]
    probability: float | None
    has_photo: bool


class Answer(BaseModel):
    """What a search found."""

    query: Annotated[dict[str, Any] | None, Field(description="As it was read; none of a photo.")]
    hits: list[Found]
    certified: Annotated[bool, Field(description="Whether these are proved to be the best.")]
    num_scored: int
    num_images: int
    seconds: float


class Read(BaseModel):
    """A query with its graph."""

    query: dict[str, Any]


class Info(BaseModel):
    """What can be searched."""

    version: str
    model: str
    num_images: int
    fields: Annotated[dict[str, str], Field(description="Fields for filters, and their types.")]
    most_letters: int = MOST_LETTERS
    most_answers: int = MOST_ANSWERS
    most_bytes: int


class Record(BaseModel):
    """What a photo's graph says."""

    id: str
    objects: list[str]
    boxes: Annotated[
        list[list[float]] | None, Field(description="x1, y1, x2, y2 of every object, in [0, 1].")
    ]
    relations: list[tuple[int, str, int]]
    attributes: list[tuple[int, str]]
    size: tuple[float, float] | None
    has_photo: bool


class Problem(BaseModel):
    """Why there is no answer."""

    error: str
