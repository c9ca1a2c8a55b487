"""Frames of transitions made by hand."""

from __future__ import annotations

import pandas as pd

TCP_COUNTS = {
    ("CLOSE", "SYN_SENT"): (1204, None),
    ("CLOSE", "LISTEN"): (3, None),
    ("LISTEN", "SYN_RECV"): (1187, None),
    ("LISTEN", "CLOSE"): (2, 60_000_000_000),
    ("SYN_SENT", "ESTABLISHED"): (1187, 212_000),
    ("SYN_SENT", "CLOSE"): (17, 95_000),
    ("SYN_RECV", "ESTABLISHED"): (1187, 61_000),
    ("ESTABLISHED", "FIN_WAIT1"): (1170, 3_240_000),
    ("ESTABLISHED", "CLOSE_WAIT"): (1170, 3_410_000),
    ("ESTABLISHED", "CLOSE"): (17, 1_200_000_000),
    ("FIN_WAIT1", "FIN_WAIT2"): (1166, 48_000),
    ("FIN_WAIT1", "CLOSING"): (4, 30_000),
    ("CLOSING", "CLOSE"): (4, 25_000),
    ("FIN_WAIT2", "CLOSE"): (1166, 540_000),
    ("CLOSE_WAIT", "LAST_ACK"): (1170, 390_000),
    ("LAST_ACK", "CLOSE"): (1170, 41_000),
}
"""What a web server and its clients on one machine do: how often, and the mean time before in nanoseconds."""


def tcp_frame(times: int = 1) -> pd.DataFrame:
    """A row per transition of TCP, by name."""
    index = pd.MultiIndex.from_tuples(TCP_COUNTS, names=["from", "to"])
    rows = [(times * count, mean) for count, mean in TCP_COUNTS.values()]
    return pd.DataFrame(rows, index=index, columns=["count", "mean_ns"]).reset_index()


def growing(number: int) -> pd.DataFrame:
    """A frame whose first transitions grow with its number, each by another step."""
    frame = tcp_frame()
    frame["count"] += [number * step if step < 6 else 0 for step in range(len(frame))]
    return frame
