"""The folder of a sweep: its header, its chunks, and who may write them."""

from accelsim.explore.sweep.store.chunks import DamagedError
from accelsim.explore.sweep.store.folder import Store, existing_store, open_store
from accelsim.explore.sweep.store.header import about, changes, header_of
from accelsim.explore.sweep.store.locks import Shard, owner
