"""The look of the gallery is that of the experiments."""

import os


def reset(gallery_conf, fname):
    """Set the look before each example, and one thread, so that pictures come out the same."""
    import matplotlib.pyplot as plt
    import torch

    from wellposed.experiments.pictures import look

    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    plt.rcdefaults()
    plt.rcParams.update(look())
