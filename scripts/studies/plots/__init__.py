"""The pictures of a report, as SVG elements. They stand in its page, and in files of their own.

============  =========================================
`picture`     what all pictures have in common
`means`       means, intervals and single runs by row
`numbered`    metrics against the number in their names
`hardware`    accuracy against costs
`attention`   maps of attention over images
============  =========================================
"""

from __future__ import annotations

from scripts.studies.plots import attention, hardware, means, numbered
from scripts.studies.plots.picture import Picture
from scripts.studies.report import Report

__all__ = ["Picture", "plots"]


def plots(report: Report) -> list[Picture]:
    """All pictures for which the report has figures."""
    against = f"Against {report.study.numbered}"
    found = (
        ("means", "Means, intervals and runs", means.CAPTION, means.means_picture(report)),
        ("numbered", against, numbered.CAPTION, numbered.numbered_picture(report)),
        ("hardware", "Against what the hardware takes", hardware.CAPTION, hardware.hardware_picture(report)),
        ("attention", "Maps of attention", attention.CAPTION, attention.attention_picture(report)),
    )
    return [
        Picture(name=name, title=title, caption=caption, svg=svg)
        for name, title, caption, svg in found
        if svg is not None
    ]
