"""The sections of a machine that hold and move data: buffers, DMA queues."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StrictBool, model_validator

from accelsim.arch import fields
from accelsim.arch.section import Section
from accelsim.errors import ConfigError


class BufferConfig(Section):
    """One on-chip memory between DRAM and the array."""

    size_bytes: Annotated[
        fields.Size | None,
        Field(
            description="bytes in all, both halves of a double-buffered memory included; null: banks of shared_buffer, as many as each "
            "layer takes, whose size_bytes must be given then"
        ),
    ] = None
    double_buffered: Annotated[StrictBool, Field(description="whether one half is filled while the other is read")] = (
        True
    )
    bytes_per_cycle: Annotated[
        fields.BytesPerCycle | None,
        Field(
            description="width of the read port, bytes per cycle: what the banks of one tile deliver together; "
            "null: as its reader needs"
        ),
    ] = None
    banks: Annotated[
        fields.Banks,
        Field(
            description="banks, of which an access concerns one: it costs as much as one of a memory of that size; with one port, the tiles "
            "of a double-buffered memory stand in banks of their own where these are a multiple of them, else a tile is filled and read in "
            "turn with its neighbours"
        ),
    ] = 1
    ports: Annotated[
        fields.Ports,
        Field(description="accesses per bank and cycle: 1, a read or a write; 2, a read and a write"),
    ] = 2

    @property
    def overlaps(self) -> bool:
        """Whether one tile is filled while another is read: room for both, and two ports or banks of their own."""
        return self.double_buffered and (self.ports == 2 or self.banks % self.tiles == 0)

    @property
    def tiles(self) -> int:
        """Tiles that it holds at once."""
        return 2 if self.double_buffered else 1

    @model_validator(mode="after")
    def _holds_a_byte(self) -> Self:
        if self.size_bytes is not None and self.size_bytes < self.tiles:
            raise ValueError(
                f"a double-buffered memory needs {self.tiles} bytes or more, one per tile, got {self.size_bytes}"
            )
        return self


class OutputBufferConfig(BufferConfig):
    """The memory of finished outputs, which is never shared."""

    size_bytes: Annotated[
        fields.Size, Field(description="bytes in all, both halves of a double-buffered memory included")
    ]


class WeightBufferConfig(BufferConfig):
    """The memory of weights, and what decodes them in front of the array."""

    coding: Annotated[
        fields.Coding | None,
        Field(
            description="how constant weights stand in DRAM and in this memory: codebook, indices of as few bits as tell the values of a "
            "layer apart, looked up in a table in front of the array, for each layer that it makes shorter; golomb_rice, tile by tile in a "
            "Golomb-Rice code of symbols and of runs of zeros, decoded in front of the array, for each layer and tile that it makes "
            "shorter; null: the values themselves"
        ),
    ] = None
    slots: Annotated[
        fields.Slots,
        Field(
            description="tiles that a double-buffered memory holds, of size_bytes / slots each: 2, its halves; more, a FIFO of tiles "
            "that are fetched ahead"
        ),
    ] = 2
    decoders: Annotated[
        fields.Lookups | None,
        Field(description="weights that are looked up or decoded per cycle; null: as the array needs"),
    ] = None

    @property
    def tiles(self) -> int:
        """Tiles that it holds at once."""
        return self.slots if self.double_buffered else 1

    @model_validator(mode="after")
    def _is_a_fifo(self) -> Self:
        if self.slots > 2 and not self.double_buffered:
            raise ValueError(f"slots of {self.slots}: expected 2 without double_buffered; set it, or leave slots out")
        return self


class ActivationBufferConfig(BufferConfig):
    """The memory of activations: slots for tiles, and a part that keeps whole tensors between layers."""

    resident_bytes: Annotated[
        fields.Reserve,
        Field(
            description="bytes of size_bytes set aside to keep whole tensors on chip from the layer that makes them to the last "
            "that reads them; the slots for tiles share the rest; 0: every tensor goes through DRAM; auto: as many as serve the objective "
            "of the network best (0 with several cores)"
        ),
    ] = 0
    fuse_pairs: Annotated[
        StrictBool,
        Field(
            description="whether two layers may be computed in step, band by band of rows, with a window of the rows between them in "
            "resident_bytes, where the whole tensor does not fit and less DRAM traffic is needed"
        ),
    ] = False
    im2col: Annotated[
        fields.Im2col,
        Field(
            description="where the windows of a convolution are unrolled into a matrix of pixels x reduction: implicit, addresses are "
            "generated at the array, and a tile holds the part of the image under its windows; buffer, a unit at the memory's input "
            "writes the matrix of the tile; dram, the DMA fetches the matrix window by window, padding excepted"
        ),
    ] = "implicit"

    @property
    def is_divided(self) -> bool:
        """Whether it is said how many bytes keep tensors; else each network is to decide."""
        return self.resident_bytes != fields.AUTO

    @property
    def kept_bytes(self) -> int:
        """``resident_bytes``; ConfigError where they are ``auto`` still."""
        if isinstance(self.resident_bytes, int):
            return self.resident_bytes
        raise ConfigError(
            "activation_buffer.resident_bytes of auto: decided for each network before it is mapped; simulate, run and evaluate do so, "
            "elsewhere take arch = accelsim.mapper.divide_memory(graph, arch=arch) first, or give a size",
            path="activation_buffer.resident_bytes",
        )

    @model_validator(mode="after")
    def _leaves_room_for_tiles(self) -> Self:
        if self.size_bytes is None or not self.is_divided:
            return self
        most = max(0, self.size_bytes - (2 if self.double_buffered else 1))
        if self.kept_bytes > most:
            raise ValueError(
                f"resident_bytes of {self.resident_bytes} in size_bytes of {self.size_bytes}: expected at most "
                f"{most}, since tiles need the rest; enlarge size_bytes or keep less"
            )
        return self


class SharedBufferConfig(Section):
    """One memory of weights and activations in place of two; each of its banks has a read and a write port, and holds one kind of data."""

    size_bytes: Annotated[
        fields.Size | None,
        Field(
            description="bytes in all, in place of weight_buffer.size_bytes and activation_buffer.size_bytes, which are null then; null: "
            "weights and activations have a memory each"
        ),
    ] = None
    banks: Annotated[
        fields.SharedBanks | None,
        Field(
            description="banks of size_bytes / banks bytes, rounded down, each of which holds weights or activations; an access costs as much "
            "as one of a memory of that size; null: nothing is shared"
        ),
    ] = None
    weight_banks: Annotated[
        fields.Banks | None,
        Field(
            description="banks of the weights, the same for all layers; null: as many as the tiles of each layer need"
        ),
    ] = None

    @property
    def bank_bytes(self) -> int:
        """Bytes of a bank; 0 where nothing is shared."""
        return 0 if self.size_bytes is None or self.banks is None else self.size_bytes // self.banks

    def banks_of(self, size: int) -> int:
        """Banks that so many bytes take."""
        return -(-size // self.bank_bytes)


def check_shared(shared: SharedBufferConfig, weights: WeightBufferConfig, activations: ActivationBufferConfig) -> None:
    """ValueError where weights and activations have memories of their own beside the shared one, or too few banks in it."""
    of = f"shared_buffer.size_bytes of {shared.size_bytes}"
    if weights.slots > 2:
        raise ValueError(f"weight_buffer.slots of {weights.slots} beside {of}: expected 2; leave one of them out")
    for name, buffer in (("weight_buffer", weights), ("activation_buffer", activations)):
        for field, expected in (("size_bytes", None), ("banks", 1), ("ports", 2)):
            value = getattr(buffer, field)
            if value != expected:
                raise ValueError(
                    f"{name}.{field} of {value} beside {of}: expected {'null' if expected is None else expected}, since weights and "
                    f"activations stand in the banks of shared_buffer; leave one of them out"
                )
    if shared.banks is None:
        raise ValueError(f"shared_buffer.banks: missing beside {of}; expected a number of banks")
    if not shared.bank_bytes:
        raise ValueError(f"shared_buffer.banks of {shared.banks} in {of}: expected a byte in each at least")
    if activations.fuse_pairs and shared.weight_banks is None:
        raise ValueError(
            f"activation_buffer.fuse_pairs with {of}: expected shared_buffer.weight_banks, since two layers that are computed in step "
            "are divided alike; set it, or leave fuse_pairs out"
        )
    kept = shared.banks_of(activations.kept_bytes) if activations.is_divided else 0
    least = 1 + (shared.weight_banks or 1)
    if shared.banks < kept + least:
        raise ValueError(
            f"shared_buffer.banks of {shared.banks}: expected {kept + least} at least, {kept} for activation_buffer.resident_bytes, "
            f"{least - 1} for weights and 1 for the tiles of activations; take more, or larger ones"
        )


class DmaConfig(Section):
    """The queues between DRAM and the buffers."""

    queues: Annotated[
        fields.DmaQueues,
        Field(
            description="in-order queues of each core: 3, weight loads, activation loads, stores; 2, loads, stores; 1, all transfers in "
            "program order, so that a store waits in front of the loads behind it"
        ),
    ] = 3
    setup_cycles: Annotated[fields.SetupCycles, Field(description="cycles before each transfer")] = 0
    write_bytes: Annotated[
        fields.BurstBytes,
        Field(
            description="bytes of one write: what a store holds of the channels of each pixel is padded to whole writes; 1: packed"
        ),
    ] = 1
    whole_weight_tiles: Annotated[
        StrictBool,
        Field(
            description="whether weights stand in memory in tiles of the array's rows and columns, padding included, which is fetched and "
            "held with them"
        ),
    ] = False
    weight_compression: Annotated[
        fields.Compression | None,
        Field(
            description="coding of constant weights in DRAM, unpacked on their way into the weight buffer: zero_run_length, pairs of "
            "zeros before and weight as in EIE, for each tile that it makes shorter; null: none"
        ),
    ] = None
    zero_run_bits: Annotated[
        fields.RunBits, Field(description="width of the run in a pair of zero_run_length, bits")
    ] = 4

    activation_compression: Annotated[
        fields.ActivationCompression | None,
        Field(
            description="coding of activations outside the buffers: run_length, pairs of zeros before and value as in Eyeriss, values as "
            "wide as array.activation_bits, where activation_zeros make it shorter; null: none"
        ),
    ] = None
    activation_zeros: Annotated[
        fields.Share,
        Field(
            description="share of zeros among activations, which says how long codes of run_length are expected to be"
        ),
    ] = 0.0

    @model_validator(mode="after")
    def _codes_no_padding(self) -> Self:
        if self.whole_weight_tiles and self.weight_compression is not None:
            raise ValueError(
                f"whole_weight_tiles with weight_compression of {self.weight_compression}: expected null, since coded weights have no "
                "padding; leave one of them out"
            )
        return self
