"""The embedded data set: invented people and four forging methods, in the tree of FaceForensics++."""

from dfbench.mini.generate import generate
from dfbench.mini.settings import MiniSettings

__all__ = ["MiniSettings", "generate"]
