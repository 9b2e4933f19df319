"""Names of the last release, kept for one more."""

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


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


def renamed(options: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, Any]:
    """Keyword arguments by their new names, with a warning about each that has an old one.

    Args:
        options (dict): What was given.
        names (dict): The new name of every old one.
        where (str): What takes the arguments, for the warning.

    Example:
        >>> renamed({"dim": 8}, {"sharpness": "inverse_temperature"}, "HOAD")
        {'dim': 8}
    """
    for name in options.keys() & names.keys():
        message = f"{where}: {name} is now {names[name]}"
        warnings.warn(message, DeprecationWarning, stacklevel=4)
    return {names.get(name, name): value for name, value in options.items()}


def renamed_arguments(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Lets a function take keyword arguments by their old names, with a warning.

    Args:
        **names: The new name of every old one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def taking_both(*args: P.args, **options: P.kwargs) -> R:
            return function(*args, **renamed(options, names, function.__qualname__))

        return taking_both

    return decorate
