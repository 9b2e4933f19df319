"""Pictures: needs the extra ``viz``."""

from pyg_sgm.viz._figure import check_picture
from pyg_sgm.viz.attention import draw_attention, draw_reranking
from pyg_sgm.viz.match import draw_match
from pyg_sgm.viz.parsed_caption import draw_caption
from pyg_sgm.viz.sheet import draw_found_images, draw_found_texts

__all__ = [
    "check_picture",
    "draw_attention",
    "draw_caption",
    "draw_found_images",
    "draw_found_texts",
    "draw_match",
    "draw_reranking",
]
