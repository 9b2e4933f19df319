"""What a saved model or a graph folder says of the extractor that made its graphs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

from pyg_sgm.vision._shards import Graph
from pyg_sgm.vision.backbones import registry as backbones
from pyg_sgm.vision.detectors import registry as detectors
from pyg_sgm.vision.extraction import Extractor
from pyg_sgm.vision.fingerprint import check_same, migrated
from pyg_sgm.vision.images import Photo
from pyg_sgm.vision.registry import open_extractor

# What options may be; a file that somebody else wrote says them.
_TYPES: dict[str, tuple[type, ...]] = {
    "detector": (str,),
    "labels": (list, type(None)),
    "min_score": (float, int, type(None)),
    "merge": (bool,),
    "pairs": (int,),
    "backbone": (str,),
    "size": (int,),
    "dtype": (str,),
    "relations": (type(None),),
    "colors": (bool,),
}


def describe(extractor: Extractor) -> dict[str, Any]:
    """What :func:`open_described` needs.

    Args:
        extractor (Extractor): The extractor.
    """
    return {
        "fingerprint": extractor.fingerprint,
        "options": extractor.options,
        "labels": extractor.labels,
    }


def open_described(
    made: Mapping[str, Any], where: str, given: Mapping[str, str] | None = None
) -> Extractor:
    """The extractor that made some graphs, opened when the first photo needs it.

    A description comes from a file that anybody may have written. So only what is shipped is opened
    on its word: grids, EfficientNet-lite, the shipped relation head. Another detector or backbone
    has to be given again; an extractor with anything else is one to open with
    :func:`open_extractor` and to give as a whole.

    Args:
        made (dict): See :func:`describe`.
        where (str): What has the graphs, for messages.
        given (dict, optional): The same ``"detector"`` or ``"backbone"``, by the name that it has
            today; the extractor is then opened at once. (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file of these is absent.
        ValueError: If there are no such options, or the extractor is another one. What is opened
            when a photo needs it also raises one that says what has to be given.
    """
    saved = _Described(migrated(made), where, given or {})
    if given:
        saved.open()
    return saved


class _Described(Extractor):
    """An extractor that is opened when it is needed; see :func:`open_described`."""

    def __init__(self, made: Mapping[str, Any], where: str, given: Mapping[str, str]) -> None:
        options = made.get("options")
        if not isinstance(options, dict):
            raise ValueError(
                f"{where}: the graphs are of an extractor of your own, give it: "
                f"{made.get('fingerprint')}"
            )
        self._made = made
        self._where = where
        self._given = dict(given)
        self._opened: Extractor | None = None
        self.options = options
        _check_options(options, where)

    @property
    def fingerprint(self) -> dict[str, str]:
        made = self._made.get("fingerprint")
        return made if isinstance(made, dict) else {}

    @property
    def labels(self) -> dict[str, list[str]]:
        made = self._made.get("labels")
        return dict(made) if _are_labels(made) else self.open().labels

    def __call__(self, photos: Sequence[Photo]) -> list[Graph]:
        return self.open()(photos)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.open(), name)

    def open(self) -> Extractor:
        """The extractor."""
        if self._opened is None:
            options = {**(self.options or {}), **self._given}
            _check_trusted(options, self._where, self._given)
            extractor = open_extractor(**options)
            check_same(self._made.get("fingerprint"), extractor, self._where)
            self._opened = extractor
        return self._opened


def _check_options(options: Mapping[str, Any], where: str) -> None:
    for name, value in options.items():
        if name not in _TYPES:
            raise ValueError(f"{where}: no options of an extractor: {name!r}")
        # Files are said by name; whether one is opened is another question.
        types = (*_TYPES[name], str) if name in ("labels", "relations") else _TYPES[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{where}: {name}: no option of an extractor: {value!r}")


def _check_trusted(options: Mapping[str, Any], where: str, given: Collection[str]) -> None:
    """Checks that nothing is opened or fetched because a file says so."""
    detector = options.get("detector", "grid")
    backbone = options.get("backbone", backbones.DEFAULT_BACKBONE)
    unknown = {} if detectors.is_shipped(detector) else {"detector": detector}
    unknown |= {} if backbones.is_shipped(backbone) else {"backbone": backbone}
    for name, value in unknown.items():
        if name not in given:
            raise ValueError(
                f"{where}: the graphs were made with the {name} {value!r}, which is not opened "
                f"because a file says so: give it again (--{name} on the command line)"
            )
    for name in ("labels", "relations"):
        if isinstance(options.get(name), str):
            raise ValueError(
                f"{where}: the graphs were made with {name} {options[name]!r}, which is not opened "
                "because a file says so: give the extractor, matcher.extractor = "
                "open_extractor(...)"
            )


def _are_labels(value: object) -> TypeGuard[dict[str, list[str]]]:
    return isinstance(value, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in (value.get("object"), value.get("relation"))
    )
