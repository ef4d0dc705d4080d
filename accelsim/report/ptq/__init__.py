"""What was found about a float network that is to become integers."""

from accelsim.report.ptq.commands import quantize_command
from accelsim.report.ptq.diagnosis import DiagnosisText, diagnosis_html, diagnosis_table
from accelsim.report.ptq.sensitivity import (
    SensitivityStudy,
    layer_names,
    layer_sensitivity_html,
    layer_sensitivity_table,
)
