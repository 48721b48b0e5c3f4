"""Plots of many jobs: what is drawn (`chart`, made by `points`, `curves`, `heatmap`, `parallel`), and who draws it."""
