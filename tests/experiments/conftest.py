"""What an experiment draws and nobody looks at is thrown away."""

import pytest


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
