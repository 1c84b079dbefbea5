"""Sunspots of the next three years, from the eleven before: LSTMs beside the naive forecasts.

    python examples/sunspots.py
    python examples/sunspots.py --picture sunspots.png     # extra plot

Five networks, which differ in their first weights, learn from what was seen until 1929, and stop by what they forecast
until 1959; the mean of the five is the forecast. The years from 1960 on are held out.
"""

import argparse
from pathlib import Path

import numpy as np

import fastnet as fn

PAST, AHEAD = 44, 12  # quarters of a year: a cycle of the sun lasts about eleven years
LEARNT_UNTIL, STOPPED_BY_UNTIL = 1930, 1960
NETWORKS = 5


def sunspots() -> tuple[np.ndarray, np.ndarray]:
    """The middle of each quarter, as a year (n,), and the mean number of spots in it (n,)."""
    path = Path(__file__).parent / "data" / "sunspots.csv"
    by_month = np.loadtxt(path, np.float32, delimiter=",", skiprows=1, usecols=1)  # January 1749 is the first
    quarters = by_month.reshape(-1, 3).mean(axis=1)
    return 1749 + (np.arange(len(quarters)) + 0.5) / 4, quarters


def windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X (m, PAST, 1) and y (m, AHEAD): every stretch of a series, and what came next."""
    found = np.lib.stride_tricks.sliding_window_view(series, PAST + AHEAD)
    return found[:, :PAST, np.newaxis], found[:, PAST:]


def naive(X: np.ndarray) -> np.ndarray:
    """All stays as it is."""
    return np.repeat(X[:, -1], AHEAD, axis=1)


def seasonal_naive(X: np.ndarray) -> np.ndarray:
    """All is as it was a cycle ago."""
    return X[:, :AHEAD, 0]


def network(X: np.ndarray, y: np.ndarray, X_stop: np.ndarray, y_stop: np.ndarray, seed: int) -> fn.Network:
    """What is to be added to the naive forecast."""
    net = fn.Network([fn.LSTM(16), fn.Dense(AHEAD)], seed=seed)
    net.fit(
        X,
        y - naive(X),
        epochs=150,
        batch_size=64,
        optimizer=fn.Adam(3e-3, clip_norm=1.0),
        validation_data=(X_stop, y_stop - naive(X_stop)),
        callbacks=[fn.EarlyStopping(patience=20)],
        verbose=False,
    )
    return net


def main(picture: str | Path | None = None) -> dict[str, float]:
    """Root mean squared errors of the held-out forecasts, by who made them."""
    years, numbers = sunspots()
    first, second = np.searchsorted(years, [LEARNT_UNTIL, STOPPED_BY_UNTIL])
    series = np.sqrt(numbers)  # which vary as much where there are few spots as where there are many
    mean, std = series[:first].mean(), series[:first].std()  # of the years that it learns from alone
    series = (series - mean) / std
    # What is forecast lies in the years of its part; of the past before it some may lie in those of another.
    X, y = windows(series[:first])
    X_stop, y_stop = windows(series[first - PAST : second])
    X_test, y_test = windows(series[second - PAST :])
    networks = [network(X, y, X_stop, y_stop, seed) for seed in range(NETWORKS)]
    learnt = naive(X_test) + np.mean([net.predict(X_test) for net in networks], axis=0)

    def spots(scaled: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.square(np.maximum(scaled * std + mean, 0))
        return found

    made = {"LSTM": learnt, "naive": naive(X_test), "seasonal naive": seasonal_naive(X_test)}
    forecasts = {name: spots(each) for name, each in made.items()}
    errors = {name: np.sqrt(np.square(each - spots(y_test)).mean(axis=0)) for name, each in forecasts.items()}
    print(f"{len(y_test)} forecasts of the years from {STOPPED_BY_UNTIL} on; root mean squared errors")
    for name, by_quarter in errors.items():
        shown = ", ".join(f"{by_quarter[4 * n - 1]:.1f}" for n in (1, 2, 3))
        print(f"  {name:<15}{by_quarter[0]:.1f} a quarter ahead, {shown} one, two and three years ahead")
    if picture is not None:
        draw(picture, years[second:], numbers[second:], forecasts, errors)
    return {name: float(np.sqrt(np.square(by_quarter).mean())) for name, by_quarter in errors.items()}


def draw(
    path: str | Path,
    years: np.ndarray,
    numbers: np.ndarray,
    forecasts: dict[str, np.ndarray],
    errors: dict[str, np.ndarray],
) -> None:
    """Forecasts made every third year over what came, and the errors by how far ahead they are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    above, below = figure.subplots(2, height_ratios=(3, 2))
    above.fill_between(years, numbers, color="0.88", label="seen")
    ahead = np.arange(1, AHEAD + 1) / 4
    for (name, made), color in zip(forecasts.items(), ("C3", "C0", "C2"), strict=True):
        for start in range(0, len(made), AHEAD):
            label = name if start == 0 else None
            above.plot(years[start : start + AHEAD], made[start], color=color, linewidth=1.6, label=label)
        below.plot(ahead, errors[name], color=color, marker=".", label=name)
    above.set(title="Forecasts of three years each", ylabel="sunspots", xlim=years[[0, -1]], ylim=(0, None))
    below.set(xlabel="years ahead", ylabel="root mean squared error", xlim=(0, None), ylim=(0, None))
    above.legend(frameon=False, ncols=4, loc="upper right")
    below.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="a file to draw the forecasts in")
    main(parser.parse_args().picture)
