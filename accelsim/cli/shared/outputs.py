"""What a study writes beside its table: JSON, CSV, a page, a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from accelsim.cli.shared.files import STDOUT, write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Outputs(NamedTuple):
    """Files to write, each None where not asked for; ``-`` is stdout."""

    json: str | None
    csv: str | None
    html: str | None
    plot: str | None

    @property
    def to_stdout(self) -> bool:
        """Whether a file format takes the place of the table on stdout."""
        return STDOUT in (self.json, self.csv)

    def write(
        self,
        *,
        text: Callable[[], str],
        rows: Callable[[], Sequence[Mapping[str, Any]]],
        document: Callable[[], str],
        draw: Callable[[], Figure],
    ) -> None:
        """Write every file that was asked for, each whole or not at all; only what is asked for is made."""
        from accelsim.report.files import write_rows
        from accelsim.report.pictures import plot_format, write_figure

        json, csv, html, plot = self
        if json is not None:
            write_text(json, lambda stream: stream.write(text()))
        if csv is not None:
            write_text(csv, lambda stream: write_rows(rows(), stream))
        if html is not None:
            write_text(html, lambda stream: stream.write(document()))
        if plot is not None:
            write_bytes(plot, lambda stream: write_figure(draw(), stream, format=plot_format(plot)))
