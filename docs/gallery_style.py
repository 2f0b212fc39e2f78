"""One look for all pictures of the gallery."""

import os

INK = "#24292f"
COLOURS = ("#0b6e99", "#d9730d", "#4a7c59", "#b5446e", "#6b5b95", "#8a6d3b")


def reset(gallery_conf, fname):
    """Set the style before each example, and one thread, so that pictures come out the same."""
    import matplotlib.pyplot as plt
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    plt.rcdefaults()
    plt.rcParams.update(
        {
            "axes.edgecolor": "#8c959f",
            "axes.labelcolor": INK,
            "axes.prop_cycle": plt.cycler(color=COLOURS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 11,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "font.size": 10,
            "image.cmap": "viridis",
            "legend.frameon": False,
            "savefig.dpi": 110,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )
