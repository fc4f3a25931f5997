"""Plots of a report, as SVG: rows of values, lines, bars and reliability."""

from aisle.eval.report.plots.bars import Bar, Group, bars
from aisle.eval.report.plots.dots import Dot, dots
from aisle.eval.report.plots.lines import Line, lines
from aisle.eval.report.plots.reliability import Bin, reliability
from aisle.eval.report.plots.svg import Role

__all__ = ["Bar", "Bin", "Dot", "Group", "Line", "Role", "bars", "dots", "lines", "reliability"]
