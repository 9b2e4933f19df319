"""Text graphs as FACTUAL writes them."""

import re
from typing import Any

_GROUP = re.compile(r"\(([^()]*)\)")


def read_scene_graph(text: str) -> dict[str, Any]:
    r"""Reads a graph written as ``( man , ride , horse ) , ( horse , is , brown ) , ( dog )``.

    A group of three whose middle is ``is`` is an attribute, any other group of three a relation, a
    single one an object. Groups of another size are left out.

    Args:
        text (str): Groups in round brackets whose parts are set off by ``" , "``.

    Returns:
        A mapping with the lists ``objects``, ``attributes`` and ``relations``.

    Raises:
        ValueError: If there is anything but groups and commas.

    Example:
        >>> read_scene_graph("( man , ride , horse ) , ( horse , is , brown )")
        {'objects': [], 'attributes': [('horse', 'brown')], 'relations': [('man', 'ride', 'horse')]}
    """
    rest = _GROUP.sub("", text).replace(",", "").strip()
    if rest:
        raise ValueError(
            f"scene_graph: expected ( subject , predicate , object ) , ..., got {rest!r:.80}"
        )
    graph: dict[str, Any] = {"objects": [], "attributes": [], "relations": []}
    for group in _GROUP.findall(text):
        parts = [part.strip() for part in re.split(r"\s,\s", f" {group} ") if part.strip()]
        if len(parts) == 1:
            graph["objects"].append(parts[0])
        elif len(parts) == 3 and parts[1] == "is":
            graph["attributes"].append((parts[0], parts[2]))
        elif len(parts) == 3:
            graph["relations"].append((parts[0], parts[1], parts[2]))
    return graph
