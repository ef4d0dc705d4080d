"""The command line: one file a command, which adds itself to the group where it is imported here."""

import accelsim.cli.accumulators
import accelsim.cli.activity
import accelsim.cli.architectures
import accelsim.cli.compare
import accelsim.cli.energy
import accelsim.cli.guided
import accelsim.cli.handoff.comparing
import accelsim.cli.handoff.exporting
import accelsim.cli.importing
import accelsim.cli.lists
import accelsim.cli.mapping
import accelsim.cli.pareto
import accelsim.cli.quantization.diagnosing
import accelsim.cli.quantization.quantizing
import accelsim.cli.quantization.search_bits
import accelsim.cli.quantization.sensitivity
import accelsim.cli.run
import accelsim.cli.sweep
import accelsim.cli.verify
import accelsim.cli.workload
from accelsim.cli.shared.group import main
