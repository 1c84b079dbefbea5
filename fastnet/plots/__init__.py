"""Pictures, with matplotlib (extra `[plot]`): each function draws one, and returns the axes it has drawn on.

All take `ax=`, axes to draw on, and save or show nothing. Without it they make a figure, `axes.figure`, whose `savefig`
writes it to a file. In a notebook, or where pyplot has been imported and can open windows, it is one of pyplot's
figures: the notebook shows it at the end of the cell, and `plt.show()` in a window. Anywhere else nobody but its axes
knows it, and it goes when they do.

Colours can be told apart by the colour-blind, and follow matplotlib's style, light or dark.
"""

from .boundary import decision_boundary
from .confusion import confusion_matrix
from .curves import history
from .diagram import network
from .filters import filters
from .matrices import weights
from .pictures import images

__all__ = ["confusion_matrix", "decision_boundary", "filters", "history", "images", "network", "weights"]
