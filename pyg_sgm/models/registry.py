"""Models by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pyg_sgm.models.base import Matcher
from pyg_sgm.models.recipe import LOSSES, Recipe

MODELS: dict[str, type[Matcher]] = {}
RECIPES: dict[str, Mapping[str, Recipe]] = {}
ENTRY_POINTS = "pyg_sgm.models"

M = TypeVar("M", bound=type[Matcher])


def register_model(name: str, recipes: Mapping[str, Recipe] | None = None) -> Callable[[M], M]:
    """Makes a model known by a name, to training, saved models and the command line.

    The class is registered when its module is imported. A package of its own can have that done on
    demand, with an entry point of the group ``pyg_sgm.models``, in its ``pyproject.toml``:

    .. code-block:: toml

        [project.entry-points."pyg_sgm.models"]
        toy = "toy_package.model:Toy"

    Args:
        name (str): The name.
        recipes (dict, optional): Recipes of the model by their names. One that is called
            ``"default"`` is taken where none is asked for. (default: a plain
            :class:`~pyg_sgm.models.Recipe`)

    Raises:
        ValueError: If another class has the name.

    Example:
        >>> @register_model("vse-small", recipes={"default": Recipe(epochs=5)})
        ... class SmallVSE(find_model("vse")):
        ...     pass
        >>> find_model("vse-small") is SmallVSE
        True
        >>> del MODELS["vse-small"], RECIPES["vse-small"]
    """

    def register(model: M) -> M:
        known = MODELS.get(name)
        if known is not None and _place(known) != _place(model):
            raise ValueError(f"model {name!r} is {'.'.join(_place(known))} already")
        MODELS[name] = model
        RECIPES[name] = {"default": Recipe(), **(recipes or {})}
        return model

    return register


def find_model(model: str | type[Matcher]) -> type[Matcher]:
    """The class of a registered model.

    Args:
        model (str or type): Its name, or the class itself.

    Raises:
        ValueError: If there is no such model, or the class is not registered.

    Example:
        >>> find_model("sgm")
        <class 'pyg_sgm.models.sgm.SGM'>
    """
    return MODELS[model_name(model)]


def model_name(model: str | type[Matcher]) -> str:
    """The name under which a model is registered.

    Args:
        model (str or type): Its name, or its class.

    Raises:
        ValueError: If there is no such model, or the class is not registered.

    Example:
        >>> model_name(find_model("sgm"))
        'sgm'
    """
    if isinstance(model, str):
        if model not in MODELS:
            for entry in entry_points(group=ENTRY_POINTS, name=model):
                entry.load()
        if model not in MODELS:
            others = {entry.name for entry in entry_points(group=ENTRY_POINTS)}
            known = ", ".join([*MODELS, *sorted(others - set(MODELS))])
            raise ValueError(f"no model {model!r}; known: {known}")
        return model
    if not isinstance(model, type):
        raise ValueError(f"model: expected a name or a class, got {model!r}")
    for name, registered in MODELS.items():
        if registered is model:
            return name
    raise ValueError(
        f"{model.__qualname__} is not registered: write @register_model('name') above the class"
    )


def find_recipe(model: str | type[Matcher], name: str = "default") -> Recipe:
    """A recipe of a model by its name.

    Args:
        model (str or type): Name or class of the model.
        name (str, optional): Name of the recipe. (default: :obj:`"default"`)

    Raises:
        ValueError: If there is no such model or recipe; the message lists the known ones.

    Example:
        >>> find_recipe("sgm", "paper").loss
        'triplet'
    """
    model = model_name(model)
    recipes = RECIPES[model]
    if name not in recipes:
        raise ValueError(f"{model}: no recipe {name!r}; known: {', '.join(recipes)}")
    return recipes[name]


def saved_recipe(model: str | type[Matcher], values: Mapping[str, Any]) -> Recipe:
    """The recipe whose :meth:`~Recipe.to_dict` was saved, by this version or an earlier one.

    Args:
        model (str or type): Name or class of the model.
        values (dict): What was saved. Fields that it lacks have their defaults.

    Raises:
        ValueError: Naming the field, if there is no such one, or its value is out of range.

    Example:
        >>> saved_recipe("sgm", {"epochs": 3, "options": {"both_ways": True}}).options
        {'bidirectional': True}
    """
    unknown = sorted(set(values) - {field.name for field in fields(Recipe)})
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    recipe = Recipe(**values)
    of_model = find_model(model).renamed_options
    of_loss = getattr(LOSSES[recipe.loss], "renamed_options", {})
    return recipe.replace(
        options={of_model.get(k, k): v for k, v in recipe.options.items()},
        loss_options={of_loss.get(k, k): v for k, v in recipe.loss_options.items()},
    )


def _place(model: type[Matcher]) -> tuple[str, str]:
    return model.__module__, model.__qualname__
