"""Frames of health, made of numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ktrace_nb.health.frame import STATES

NAN = float("nan")
PIECES: dict[tuple[str, str], dict[str, Any]] = {
    ("ctxt", ""): {
        "title": "context switches",
        "unit": "switches",
        "kind": "counter",
        "level": 12_345_678,
        "rate": 12_340.0,
        "most": 50_000.0,
        "moves": 740_000,
    },
    ("interrupts", ""): {
        "title": "interrupts",
        "unit": "interrupts",
        "kind": "counter",
        "level": 5_000,
        "rate": 150.0,
        "moves": 900,
    },
    ("interrupts", "24"): {"level": 3_000, "rate": 90.0, "moves": 600},
    ("interrupts", "LOC"): {
        "level": 2_000,
        "rate": 60.0,
        "drift": -3,
        "relative": -0.01,
        "moves": 300,
        "state": "drift",
    },
    ("skb", ""): {
        "title": "network buffers",
        "unit": "buffers",
        "kind": "level",
        "level": 40,
        "rate": 8.5,
        "least": 50.0,
        "most": 150.0,
        "moves": 77,
        "state": "low",
    },
    ("runnable", ""): {
        "title": "runnable <b>tasks",
        "unit": "tasks",
        "kind": "level",
        "level": 9,
        "rate": 30.0,
        "most": 8.0,
        "moves": 55,
        "state": "high",
    },
    ("pages", ""): {
        "title": "pages allocated",
        "unit": "pages",
        "kind": "counter",
        "level": 1_000_000,
        "source": 999_000,
        "rate": 0.0,
        "drift": 1_000,
        "relative": 0.002,
        "moves": 500_000,
        "state": "drift",
        "slack": 12,
    },
}


def health(**rates: float) -> pd.DataFrame:
    """A frame of five pieces, one of two parts; of some the rate is another one."""
    rows: list[dict[str, Any]] = []
    for (name, part), told in PIECES.items():
        whole = PIECES[name, ""]
        row = {"source": told["level"], "drift": 0, "relative": 0.0, "slack": 0, "least": NAN, "most": NAN}
        row |= {"state": "ok", **{key: whole[key] for key in ("title", "unit", "kind")}, **told}
        if name in rates and not part:
            row["rate"] = rates[name]
        rows.append(row)
    columns = ["title", "unit", "kind", "level", "source", "drift", "relative", "slack", "moves"]
    frame = pd.DataFrame(rows)[[*columns, "rate", "least", "most", "state"]]
    frame = frame.astype({"kind": "category", "moves": "uint64", "rate": "float64"})
    frame["state"] = pd.Categorical(frame["state"], categories=list(STATES))
    frame.index = pd.MultiIndex.from_tuples(list(PIECES), names=["name", "part"])
    frame.attrs["ktrace"] = {"over_s": 62.0}
    return frame
