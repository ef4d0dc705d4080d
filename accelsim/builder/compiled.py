"""The loops that emit tile operations, for compiled loops."""

from accelsim.builder._banks import change_division, divide_banks, need_of_mac, need_of_vector
from accelsim.builder._mac import mac_operations
from accelsim.builder._vector import vector_operations
