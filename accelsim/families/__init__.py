"""Networks by a few parameters: layer tables of GPT-2, Llama, BERT, ViT, ResNet and MobileNet of any size."""

from accelsim.families.mobilenets import append_stages
from accelsim.families.network import PARAMETERS, Network, Parameter
from accelsim.families.registry import FAMILIES, Member, network_named, workload, workload_text
from accelsim.families.rows import Row, Table
