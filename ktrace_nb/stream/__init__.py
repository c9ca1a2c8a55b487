"""From bytes to frames: map snapshots, ring spans, histograms, losses."""
