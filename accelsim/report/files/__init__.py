"""Results as files for other programs: CSV, .npz, Chrome trace."""

from accelsim.report.files.csv_file import write_csv, write_rows
from accelsim.report.files.model_explorer import OVERLAYS, write_model_explorer
from accelsim.report.files.occupancy import KEEPING, TRACKS
from accelsim.report.files.tensors import write_tensors
from accelsim.report.files.trace import write_trace
