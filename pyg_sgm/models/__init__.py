"""Models, one file per paper."""

from pyg_sgm.models.base import Encoding, GraphSizes, Matcher, encoding_types
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.dpc import DPC
from pyg_sgm.models.dspe import DSPE
from pyg_sgm.models.dvsa import DVSA
from pyg_sgm.models.gsmn import GSMN, GSMNEncoding
from pyg_sgm.models.hoad import HOAD, HOADEncoding
from pyg_sgm.models.lgsgm import LGSGM
from pyg_sgm.models.pvse import PVSE, PVSEEncoding
from pyg_sgm.models.query_bank import QueryBank
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.models.regions_words import GlobalEncoding, NodeEncoding
from pyg_sgm.models.registry import (
    MODELS,
    RECIPES,
    find_model,
    find_recipe,
    model_name,
    register_model,
)
from pyg_sgm.models.saem import SAEM
from pyg_sgm.models.scan import SCAN
from pyg_sgm.models.sco import SCO, SCOEncoding
from pyg_sgm.models.serialization import SavedModel, build_model, load_model, save_model
from pyg_sgm.models.sgm import SGM, SGMEncoding
from pyg_sgm.models.sgraf import SGRAF, SGRAFEncoding
from pyg_sgm.models.vse import VSE
from pyg_sgm.models.vse_infinity import VSEInfinity
from pyg_sgm.models.vsrn import VSRN

__all__ = [
    "DPC",
    "DSPE",
    "DVSA",
    "GSMN",
    "HOAD",
    "LGSGM",
    "MODELS",
    "PVSE",
    "RECIPES",
    "SAEM",
    "SCAN",
    "SCO",
    "SGM",
    "SGRAF",
    "VSE",
    "VSRN",
    "BoundLevel",
    "Encoding",
    "GSMNEncoding",
    "GlobalEncoding",
    "GraphSizes",
    "HOADEncoding",
    "Matcher",
    "NodeEncoding",
    "PVSEEncoding",
    "QueryBank",
    "Recipe",
    "SCOEncoding",
    "SGMEncoding",
    "SGRAFEncoding",
    "SavedModel",
    "VSEInfinity",
    "build_model",
    "encoding_types",
    "find_model",
    "find_recipe",
    "load_model",
    "model_name",
    "register_model",
    "save_model",
]
