"""Models, one paper a file."""

from pyg_sgm.models.base import Encoding, GraphSizes, Matcher
from pyg_sgm.models.dvsa import DVSA
from pyg_sgm.models.hoad import HOAD, HOADEncoding
from pyg_sgm.models.scan import SCAN
from pyg_sgm.models.sgm import SGM, SGMEncoding
from pyg_sgm.models.vse import VSE
from pyg_sgm.models.vsrn import VSRN

MODELS: dict[str, type[Matcher]] = {
    "sgm": SGM,
    "hoad": HOAD,
    "vse": VSE,
    "dvsa": DVSA,
    "scan": SCAN,
    "vsrn": VSRN,
}

__all__ = [
    "DVSA",
    "HOAD",
    "MODELS",
    "SCAN",
    "SGM",
    "VSE",
    "VSRN",
    "Encoding",
    "GraphSizes",
    "HOADEncoding",
    "Matcher",
    "SGMEncoding",
]
