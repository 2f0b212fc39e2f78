"""Networks: stages and what joins them, heads, recipes, archives."""

from wellposed.network import published, recipes
from wellposed.network.archive import load, save
from wellposed.network.connect import Coarsen, Level, Opening, Refine
from wellposed.network.heads import Classify, Readout
from wellposed.network.jacobian import Jacobian
from wellposed.network.lagrangian import KKTResidual, kkt_residual, lagrangian
from wellposed.network.network import Network
from wellposed.network.norm_control import limit_norms
from wellposed.network.normed import Normed, Pool
from wellposed.network.part import Part
from wellposed.network.stage import Stage
from wellposed.network.wavelet import Wavelet

__all__ = [
    "Classify",
    "Coarsen",
    "Jacobian",
    "KKTResidual",
    "Level",
    "Network",
    "Normed",
    "Opening",
    "Part",
    "Pool",
    "Readout",
    "Refine",
    "Stage",
    "Wavelet",
    "kkt_residual",
    "lagrangian",
    "limit_norms",
    "load",
    "published",
    "recipes",
    "save",
]
