"""Names of the last release, kept for one more."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def moved(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that finds old names at their new places, with a warning.

    Args:
        module (str): The module's ``__name__``.
        names (dict): The full new name of every old one.

    Example:
        >>> import warnings
        >>> find = moved("pyg_sgm.ops", {"order": "pyg_sgm.ops.ranks"})
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     function = find("order")
        >>> print(told[0].message)
        pyg_sgm.ops.order is now pyg_sgm.ops.ranks
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, new = names[name].rpartition(".")
        warnings.warn(f"{module}.{name} is now {names[name]}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(place), new)

    return find
