"""A picture of a parsed caption."""

from os import PathLike

import networkx as nx

from pyg_sgm.text import ParsedCaption


def draw_caption(parsed: ParsedCaption, path: str | PathLike[str]) -> None:
    """Draws the graph of a caption: objects as boxes with their attributes, relations as arrows.

    Args:
        parsed (ParsedCaption): The parsed caption.
        path (str or PathLike): The picture to write; its ending says the format, such as ``.png``
            or ``.svg``.

    Raises:
        ImportError: If matplotlib is missing (extra ``viz``).
        ValueError: If matplotlib knows no format of that ending.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install pyg_sgm[viz]") from error
    graph = parsed.to_networkx()
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(parsed.caption, wrap=True)
    axes.axis("off")
    place = nx.circular_layout(graph)
    labels = {
        node: "\n".join([data["label"], ", ".join(data["attributes"])]).strip()
        for node, data in graph.nodes(data=True)
    }
    # Several relations between the same two objects share one arrow and one label.
    arrows = nx.DiGraph(graph)
    predicates: dict[tuple[int, int], str] = {}
    for source, target, name in graph.edges(data="label"):
        known = predicates.get((source, target))
        predicates[source, target] = f"{known}\n{name}" if known else name
    curve = "arc3,rad=0.15"  # keeps the two directions of a pair apart
    nx.draw_networkx_edges(
        arrows, place, ax=axes, connectionstyle=curve, edge_color="#888", node_size=3000
    )
    nx.draw_networkx_edge_labels(
        arrows, place, predicates, ax=axes, connectionstyle=curve, font_size=9
    )
    box = {"boxstyle": "round", "facecolor": "#e8f0fe", "edgecolor": "#4a6fa5"}
    nx.draw_networkx_labels(graph, place, labels, ax=axes, font_size=10, bbox=box)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.3, 1.3))  # room for boxes on the unit circle
    figure.savefig(path, dpi=150)
