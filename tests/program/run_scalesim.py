"""Run SCALE-Sim on one topology for several dataflows; executed by the Python of an environment that has ``scalesim``.

Arguments: topology, conv or gemm, rows, cols, result. The result is JSON: dataflow -> layer by layer ``cycles``, ``stalls``,
``ifmap_reads``, ``filter_reads`` and ``ofmap_writes``, from the reports that SCALE-Sim itself writes.
"""

import csv
import json
import sys
from pathlib import Path

from scalesim.scale_sim import scalesim

CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {cols}
IfmapSramSzkB = 8192
FilterSramSzkB = 8192
OfmapSramSzkB = 8192
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {dataflow}
Bandwidth = 10
ReadRequestBuffer = 32
WriteRequestBuffer = 32
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""
COLUMNS = {
    "COMPUTE_REPORT.csv": {"Total Cycles": "cycles", "Stall Cycles": "stalls"},
    "DETAILED_ACCESS_REPORT.csv": {
        "SRAM IFMAP Reads": "ifmap_reads",
        "SRAM Filter Reads": "filter_reads",
        "SRAM OFMAP Writes": "ofmap_writes",
    },
}


def report(folder):
    layers = []
    for name, columns in COLUMNS.items():
        with (folder / name).open() as file:
            for index, row in enumerate(csv.DictReader(file, skipinitialspace=True)):
                if index == len(layers):
                    layers.append({})
                layers[index].update({ours: int(float(row[theirs])) for theirs, ours in columns.items()})
    return layers


def main():
    topology, form, rows, cols, result = sys.argv[1:]
    folder = Path(result).parent
    layout, config = folder / "layout.csv", folder / "scale.cfg"
    layout.write_text("Layer name,\n")
    found = {}
    for dataflow in ("ws", "os", "is"):
        config.write_text(CONFIG.format(rows=rows, cols=cols, dataflow=dataflow))
        simulator = scalesim(
            save_disk_space=True, verbose=False, config=str(config), topology=topology, layout=str(layout),
            input_type_gemm=form == "gemm",
        )  # fmt: skip
        simulator.run_scale(top_path=str(folder / dataflow))
        found[dataflow] = report(folder / dataflow / "run")
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
