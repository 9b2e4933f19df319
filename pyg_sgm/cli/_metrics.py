"""Metrics of retrieval as a table."""

from rich.table import Table

from pyg_sgm.metrics.retrieval import RetrievalMetrics, in_percent


def metrics_table(metrics: RetrievalMetrics, title: str) -> Table:
    """Recalls, in percent, and median rank in both directions."""
    metrics = in_percent(metrics)
    table = Table(title=title, caption=f"rsum {metrics['rsum']:.1f}", title_justify="left")
    for column in ("", "R@1", "R@5", "R@10", "median rank"):
        table.add_column(column, justify="right" if column else "left")
    for name, side in (("image to text", metrics["i2t"]), ("text to image", metrics["t2i"])):
        table.add_row(name, *(f"{value:.1f}" for value in side.values()))
    return table
