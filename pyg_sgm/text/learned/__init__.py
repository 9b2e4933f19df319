"""The learned parser: a small network on words, and its training."""

from pyg_sgm.text.learned.builder import Lexicon
from pyg_sgm.text.learned.inference import LearnedParser
from pyg_sgm.text.learned.network import CaptionNetwork
from pyg_sgm.text.learned.training import score_parser, train_parser

__all__ = ["CaptionNetwork", "LearnedParser", "Lexicon", "score_parser", "train_parser"]
