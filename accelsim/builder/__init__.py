"""From a Graph, a machine and one mapping per layer to a Program."""

from accelsim.builder.build import build_program
from accelsim.builder.size import check_vector_size, vector_operations
from accelsim.builder.vector_layer import share_boxes
