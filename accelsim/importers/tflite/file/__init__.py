"""What a .tflite file says, as plain records."""

from accelsim.importers.tflite.file.options import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID
from accelsim.importers.tflite.file.reader import TFLITE, read_tflite
from accelsim.importers.tflite.file.records import TfliteModel, TfliteOperator, TfliteTensor
