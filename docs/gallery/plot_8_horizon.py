"""
From SEG-Y and picks to a horizon
=================================

The main job in small. A generated, faulted earth is written as SEG-Y, and one horizon is picked on two
inlines, as an interpreter would; the file and the picks are all that is handed on. The surface comes with a
standard deviation on every trace. `wellposed interpret` does the same from the command line, with a report.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import wellposed as wp
from wellposed.seismic.synthetic import picks_on_lines

folder = Path(tempfile.mkdtemp())
earth = wp.make_earth((24, 64, 128), difficulty="middle", seed=2)
wp.write_segy(folder / "survey.segy", earth.volume)
picked = picks_on_lines(earth, "strong", inlines=2, every=8, seed=0)
table = zip(picked.inline, picked.crossline, picked.twt_ms, strict=True)
rows = ["inline,crossline,twt_ms", *(f"{i},{x},{t:.1f}" for i, x, t in table)]
(folder / "strong.csv").write_text("\n".join(rows))

# %%
# What a user writes:

volume = wp.open_volume(folder / "survey.segy")
picks = wp.read_picks(folder / "strong.csv", survey=volume.survey, std_ms=4.0)
print(volume.survey.describe())
print(f"{len(picks[0])} picks of {picks[0].name}")

run = wp.interpret(volume, horizons=picks, out=folder / "run", epochs=0, threads=1, say=lambda line: None)
horizon = run.predict(volume)["strong"]
print(horizon)

# %%
# Against the truth, which only a generated earth has. Of errors about two in three should lie within one
# standard deviation.

truth = earth.horizons["strong"]
error = np.where(horizon.exists, horizon.twt_ms - truth, np.nan)
within = np.nanmean(np.abs(error) <= horizon.twt_std_ms)
print(f"mean absolute error {np.nanmean(np.abs(error)):.2f} ms, within one std {within:.0%}")

# %%

survey, line = volume.survey, 12
figure, panels = plt.subplot_mosaic([["section", "section"], ["surface", "std"]], figsize=(9.5, 7.4))
section, clip = volume.read()[line], 2.5 * volume.read().std()
times, lines = survey.twt_ms, survey.crossline
frame = (lines[0], lines[-1], times[-1], times[0])
panels["section"].imshow(section.T, cmap="gray", aspect="auto", vmin=-clip, vmax=clip, extent=frame)
panels["section"].fill_between(
    lines,
    horizon.twt_p10_ms[line],
    horizon.twt_p90_ms[line],
    color="#d9730d",
    alpha=0.35,
    lw=0,
    label="p10 to p90",
)
panels["section"].plot(lines, horizon.twt_ms[line], color="#d9730d", lw=1.8, label="found")
panels["section"].plot(lines, truth[line], color="#4fd1ff", lw=1.2, ls="--", label="truth")
panels["section"].set(
    title=f"Inline {survey.inline[line]}, not picked", xlabel="crossline", ylabel="time (ms)"
)
panels["section"].legend(loc="lower right", frameon=True, fontsize=8)
frame = (lines[0], lines[-1], survey.inline[-1], survey.inline[0])
maps = {
    "surface": (horizon.twt_ms, "viridis_r", "time (ms)"),
    "std": (horizon.twt_std_ms, "magma", "std (ms)"),
}
for name, (values, colours, label) in maps.items():
    image = panels[name].imshow(values, cmap=colours, aspect="auto", extent=frame)
    panels[name].plot(picked.crossline, picked.inline, "w.", ms=5, mec="black", mew=0.4)
    panels[name].set(xlabel="crossline", ylabel="inline")
    figure.colorbar(image, ax=panels[name], label=label)
plt.show()
