"""Graphs and what is done to them. Pure: no clock, no device, no data set."""
