"""Scenes of the synthetic world, and the graphs a fallible detector reports of them."""

from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record
from pyg_sgm.datasets.scene_world.captions import Entity, Scene
from pyg_sgm.datasets.scene_world.words import (
    ACTIONS,
    AGENTS,
    ATTRIBUTES,
    COLORS,
    OBJECTS,
    PLACES,
    PREDICATES,
    SIZES,
    THINGS,
)

WIDTH, HEIGHT = 640.0, 480.0


def twins(random: Random, distractors: tuple[int, int]) -> list[Scene]:
    """Four scenes of the same objects that differ in direction, action or a color."""
    labels = random.sample(list(AGENTS), 2)
    agents = [_entity(label, random, 0.1) for label in labels]
    others = [label for label in OBJECTS if label not in labels]
    thing = _entity(random.choice(list(THINGS)), random, 0.0)
    further = [
        _entity(random.choice(others), random, 0.0) for _ in range(random.randint(*distractors))
    ]
    first = Scene(
        entities=(*agents, thing, *further),
        subject=random.randrange(2),
        action=random.choice(list(ACTIONS)),
        placed=random.randrange(2),
        place=random.choice(list(PLACES)),
    )
    i = random.randrange(2)
    size, color = agents[i].attributes
    recolored = replace(agents[i], attributes=(size, _other(COLORS, color, random)))
    entities = list(first.entities)
    entities[i] = recolored
    return [
        first,
        replace(first, subject=1 - first.subject),
        replace(first, action=_other(ACTIONS, first.action, random)),
        replace(first, entities=tuple(entities)),
    ]


def _entity(label: str, random: Random, pairs: float) -> Entity:
    attributes = (random.choice(list(SIZES)), random.choice(list(COLORS)))
    return Entity(label, attributes, 2 if random.random() < pairs else 1)


def _other(options: dict, known: str, random: Random) -> str:
    return random.choice([option for option in options if option != known])


@dataclass(frozen=True)
class Parts:
    """What the features of an image are made of, before any error in its labels.

    Args:
        objects (list of tuple): Label and attributes of each object.
        relations (list of tuple): Subject, predicate, object.
    """

    objects: list[tuple[str, ...]]
    relations: list[tuple[int, str, int]]


def detect(
    scene: Scene, id: str, random: Random, label_noise: float, missed: float, invented: int
) -> tuple[ImageRecord, Parts]:
    """The graph that a fallible detector reports of a scene, objects in random order."""
    owners = [i for i, entity in enumerate(scene.entities) for _ in range(entity.count)]
    random.shuffle(owners)
    nodes = [[n for n, owner in enumerate(owners) if owner == i] for i in range(3)]
    centres = [(random.uniform(0.1, 0.9), random.uniform(0.1, 0.9)) for _ in scene.entities]
    centres[2] = _beside(centres[scene.placed], scene.place, random)

    relations = [
        (s, scene.action, o) for s in nodes[scene.subject] for o in nodes[1 - scene.subject]
    ]
    relations += [(s, scene.place, o) for s in nodes[scene.placed] for o in nodes[2]]
    relations = [relation for relation in relations if random.random() >= missed]
    for _ in range(random.randint(0, invented)):
        s, o = random.sample(range(len(owners)), 2)
        if {owners[s], owners[o]} != {0, 1}:
            relations.append((s, random.choice(PREDICATES), o))
    random.shuffle(relations)
    parts = Parts([_parts(scene.entities[owner]) for owner in owners], relations)

    image = image_record(
        [_label(scene.entities[owner].label, OBJECTS, label_noise, random) for owner in owners],
        [_box(centres[owner], scene.entities[owner], random) for owner in owners],
        [(s, _label(p, PREDICATES, label_noise, random), o) for s, p, o in relations],
        [
            (n, attribute)
            for n, owner in enumerate(owners)
            for attribute in scene.entities[owner].attributes
            if random.random() >= missed
        ],
        size=(WIDTH, HEIGHT),
        id=id,
    )
    return image, parts


def _parts(entity: Entity) -> tuple[str, ...]:
    return (entity.label, *entity.attributes)


def _label(label: str, options: list[str], noise: float, random: Random) -> str:
    return random.choice(options) if random.random() < noise else label


def _beside(center: tuple[float, float], place: str, random: Random) -> tuple[float, float]:
    """Where a thing is if an agent at ``center`` is at that place seen from the thing."""
    x, y = center
    far = random.uniform(0.1, 0.3)
    if place == "left of":
        x += far
    elif place == "right of":
        x -= far
    elif place == "above":
        y += far
    elif place == "below":
        y -= far
    else:
        x += random.choice((-far, far)) / 2
    return x, y


def _box(center: tuple[float, float], entity: Entity, random: Random) -> list[float]:
    scale = 0.1 if "small" in entity.attributes else 0.2
    x = (min(max(center[0], 0.06), 0.94) + random.uniform(-0.03, 0.03)) * WIDTH
    y = (min(max(center[1], 0.06), 0.94) + random.uniform(-0.03, 0.03)) * HEIGHT
    w = scale * random.uniform(0.7, 1.3) * WIDTH / 2
    h = scale * random.uniform(0.7, 1.3) * HEIGHT / 2
    return [max(x - w, 0.0), max(y - h, 0.0), min(x + w, WIDTH), min(y + h, HEIGHT)]


def features_of(
    images: list[Parts], dim: int, sigma: float, seed: int, noise: np.random.Generator
) -> dict[str, Ragged]:
    """Features of objects, and of relations from both ends alike and the predicate."""
    names = [*OBJECTS, *PREDICATES, *ATTRIBUTES]
    row = {name: i for i, name in enumerate(names)}
    directions = np.random.default_rng(seed).standard_normal((len(names), dim))
    objects = np.array([[row[n] for n in parts] for image in images for parts in image.objects])
    clean = directions[objects.reshape(-1, 3)].sum(axis=1)  # label, size, color

    counts = [len(image.objects) for image in images]
    starts = np.cumsum([0, *counts])
    triples = [
        (start + s, row[predicate], start + o)
        for start, image in zip(starts.tolist(), images, strict=False)
        for s, predicate, o in image.relations
    ]
    s, p, o = np.array(triples, dtype=np.int64).reshape(-1, 3).T
    unions = (clean[s] + clean[o]) / 2 + directions[p]
    relation_counts = [len(image.relations) for image in images]
    return {
        "object": _ragged(clean, counts, sigma, noise),
        "relation": _ragged(unions, relation_counts, sigma, noise),
    }


def _ragged(
    clean: np.ndarray, counts: list[int], sigma: float, noise: np.random.Generator
) -> Ragged:
    rows = (clean + sigma * noise.standard_normal(clean.shape)).astype(np.float32)
    return Ragged(torch.from_numpy(rows), Spans.packed(torch.tensor(counts, dtype=torch.long)))
