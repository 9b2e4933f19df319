"""What a saved model or a graph folder says of the extractor that made its graphs."""

from collections.abc import Mapping
from typing import Any

from pyg_sgm.vision.extraction import Extractor
from pyg_sgm.vision.fingerprint import check_same, migrated
from pyg_sgm.vision.registry import open_extractor


def describe(extractor: Extractor) -> dict[str, Any]:
    """What :func:`open_described` needs.

    Args:
        extractor: The extractor.
    """
    return {"fingerprint": extractor.fingerprint, "options": extractor.options}


def open_described(made: Mapping[str, Any], where: str, detector: str | None = None) -> Extractor:
    """The extractor that made some graphs.

    Args:
        made: See :func:`describe`.
        where: What has the graphs, for messages.
        detector: The same detector by another name, where its file has moved.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file of it is absent.
        ValueError: If it cannot be made from its options, or is another one now.
    """
    made = migrated(made)
    options, fingerprint = made.get("options"), made.get("fingerprint")
    if not isinstance(options, dict):
        raise ValueError(
            f"{where}: the graphs are of an extractor of your own, give it: {fingerprint}"
        )
    try:
        extractor = open_extractor(**options | ({} if detector is None else {"detector": detector}))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{where}: the graphs were made with {error.filename or error}, which is not there; a "
            "detector that has moved may be given by its new name (--detector on the command line)"
        ) from error
    except TypeError as error:
        raise ValueError(f"{where}: no options of an extractor: {options}") from error
    check_same(fingerprint, extractor, where)
    return extractor
