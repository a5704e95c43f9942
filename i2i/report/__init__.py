"""The report: one HTML page about one run or several."""

from i2i.report.page import write_report

__all__ = ["write_report"]
