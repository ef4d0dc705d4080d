"""Golden vectors: what each layer and tile operation takes and makes, as files."""

from accelsim.handoff.vectors.export import VectorPlan, export_vectors, plan_vectors
from accelsim.handoff.vectors.manifest import MANIFEST
from accelsim.handoff.vectors.owned import read_manifest
from accelsim.handoff.vectors.streams import FORMATS, FileFormat
from accelsim.handoff.vectors.text import parse_hex
