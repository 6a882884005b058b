"""Parts that a recipe adds to a method's training step."""

from mixssl.models.parts.base import Part, teacher_in_place
from mixssl.models.parts.clusters import Clusters
from mixssl.models.parts.learned_masks import LearnedMasks, render_learned
from mixssl.models.parts.regions import Cells, Regions, add_regions

__all__ = [
    "Cells",
    "Clusters",
    "LearnedMasks",
    "Part",
    "Regions",
    "add_regions",
    "render_learned",
    "teacher_in_place",
]
