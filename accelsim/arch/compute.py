"""The sections of a machine that compute: MAC array, accumulators, requantization and vector units, cores; and its technology."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator

from accelsim.arch import fields
from accelsim.arch.dataflows import DATAFLOWS, Dataflow, DataflowName
from accelsim.arch.section import Section


class ArrayConfig(Section):
    """The MAC array."""

    rows: Annotated[fields.Side, Field(description="rows of MACs")]
    cols: Annotated[fields.Side, Field(description="columns of MACs")]
    dataflow: Annotated[
        DataflowName,
        Field(
            description="which operand stays in a systolic array while the others pass; adder_tree: activations are broadcast to "
            "all columns, each of which sums its products over the rows at once"
        ),
    ]
    weight_bits: Annotated[
        fields.OperandBits,
        Field(description="width of a weight port, bits; wider weights take ceil(bits / port) passes"),
    ] = 8
    activation_bits: Annotated[
        fields.OperandBits,
        Field(description="width of an activation port, bits; wider activations take ceil(bits / port) passes each"),
    ] = 8
    weight_preload: Annotated[
        fields.Preload,
        Field(
            description="weight- and input-stationary: what stays shifts in before a fold (serial) or behind the one before"
        ),
    ] = "serial"
    drain: Annotated[
        fields.Preload,
        Field(
            description="when the sums of a fold leave a systolic array: before the operands of the next enter (serial) or behind "
            "them (overlapped, as always where weight_preload is overlapped and in adder trees)"
        ),
    ] = "serial"
    reduction: Annotated[
        fields.Reduction,
        Field(
            description="how a convolution's reduction fills the rows (or, output-stationary, the products of a MAC): kernel taps and "
            "input channels side by side (flat), or the channels of every tap padded to them (per_tap)"
        ),
    ] = "flat"
    stripe_pixels: Annotated[
        fields.Side | None,
        Field(
            description="adder tree: pixels that pass one fold of the weights before the next fold of the same sums, so that finished sums "
            "leave stripe by stripe and weights are read anew for each; null: all pixels of the tile"
        ),
    ] = None
    step_folds: Annotated[
        fields.StepFolds,
        Field(
            description="adder tree, per_tap: folds of one sum that make a step, of the channels of one tap or of as many taps, whichever "
            "takes fewer steps; what is left of a step idles"
        ),
    ] = 1
    group_folds: Annotated[
        fields.GroupFolds,
        Field(
            description="adder tree: whether all columns see the same activations, so that each group of a convolution has folds of its own "
            "(apart), or whole groups stand beside each other in the columns, each with its own activations (side_by_side)"
        ),
    ] = "apart"
    dot_products: Annotated[
        fields.DotProducts,
        Field(description="products of one sum that each MAC unit makes and adds in a cycle; rows x cols are units"),
    ] = 1
    issue_cycles: Annotated[
        fields.SetupCycles, Field(description="cycles in which a compute tile is issued, the array standing still")
    ] = 0
    fold_issue_cycles: Annotated[
        fields.SetupCycles, Field(description="the same for every fold of it: one filling of the array")
    ] = 0
    pipeline_stages: Annotated[
        fields.Stages,
        Field(description="registers between a product and its accumulator, beyond the steps of a systolic array"),
    ] = 0
    first_cycle: Annotated[
        fields.CycleNumber,
        Field(description="number of a layer's first compute cycle; 0 reports the index of the last one, as SCALE-Sim"),
    ] = 1
    brick_bits: Annotated[
        fields.BrickBits | None,
        Field(
            description="composable MACs: each is made of multipliers this wide, which narrow operands share out; null: none"
        ),
    ] = None

    mac: Annotated[
        fields.Mac,
        Field(
            description="what makes products: multiply, a multiplier; shift_add, a shifter, for weights that are 0 or powers of two with a "
            "sign, others being refused"
        ),
    ] = "multiply"
    weight_zero_points: Annotated[
        fields.ZeroPoints,
        Field(
            description="what becomes of weights' zero points: subtract, each weight's is taken off in front of its multiplier, which is a "
            "bit wider for it; extra_channel, each sum has one product more, of the sum of its inputs and the zero point, for which every "
            "fold keeps a row (a step, where sums stay)"
        ),
    ] = "subtract"

    weight_scratchpad_bytes: Annotated[
        fields.Size | None,
        Field(
            description="systolic: a memory in each MAC unit that weights are read from for every product, in place of a register; null: none"
        ),
    ] = None
    activation_scratchpad_bytes: Annotated[fields.Size | None, Field(description="the same for activations")] = None
    sum_scratchpad_bytes: Annotated[
        fields.Size | None, Field(description="the same for partial sums, read and written in every step of a MAC unit")
    ] = None
    hop_um: Annotated[
        fields.Micrometres | None,
        Field(
            description="wire from one MAC unit to the next, um; null: the side of a square unit, by the table's areas"
        ),
    ] = None
    zero_gating: Annotated[
        fields.Share | None,
        Field(
            description="systolic: the share of products with a zero operand, whose multiplier, adder and weight_scratchpad_bytes stand still; "
            "null: none does"
        ),
    ] = None

    @model_validator(mode="after")
    def _units_keep_to_themselves(self) -> Self:
        names = "weight_scratchpad_bytes", "activation_scratchpad_bytes", "sum_scratchpad_bytes", "zero_gating"
        given = [name for name in names if getattr(self, name) is not None]
        if given and self.flow.broadcast:
            raise ValueError(
                f"{given[0]} of {getattr(self, given[0])} with dataflow {self.dataflow}: its products share their activation and their adders; "
                "expected null, or a systolic array"
            )
        return self

    @model_validator(mode="after")
    def _scratchpads_hold_an_operand(self) -> Self:
        for operand in ("weight", "activation"):
            size, bits = getattr(self, f"{operand}_scratchpad_bytes"), getattr(self, f"{operand}_bits")
            if size is not None and 8 * size < bits:
                raise ValueError(
                    f"{operand}_scratchpad_bytes of {size} with {operand}_bits of {bits}: expected room for one operand, "
                    f"{-(-bits // 8)} bytes or more"
                )
        return self

    @property
    def scratchpads(self) -> dict[str, int]:
        """Bytes of the memories in each MAC unit, of the operands that have one: "weights", "activations", "sums"."""
        sizes = {
            "weights": self.weight_scratchpad_bytes,
            "activations": self.activation_scratchpad_bytes,
            "sums": self.sum_scratchpad_bytes,
        }
        return {operand: size for operand, size in sizes.items() if size is not None}

    @model_validator(mode="after")
    def _shifts_alone(self) -> Self:
        if self.mac == "shift_add" and (self.brick_bits is not None or self.flow.broadcast):
            other = f"dataflow {self.dataflow}" if self.brick_bits is None else f"brick_bits of {self.brick_bits}"
            raise ValueError(
                f"mac of shift_add with {other}: expected a systolic array of plain MACs; take one, or multiply"
            )
        return self

    @model_validator(mode="after")
    def _has_a_row_for_zero_points(self) -> Self:
        if self.weight_zero_points == "extra_channel" and self.rows < 2 and self.flow.stationary:
            raise ValueError(
                f"weight_zero_points of extra_channel with rows of {self.rows} and dataflow {self.dataflow}: expected 2 rows or more, of "
                "which one is the extra channel's; add a row, or subtract"
            )
        return self

    @model_validator(mode="after")
    def _ports_are_bricks(self) -> Self:
        if self.brick_bits is not None:
            for name in ("weight_bits", "activation_bits"):
                bits = getattr(self, name)
                if bits != self._bricked(bits):
                    raise ValueError(
                        f"brick_bits of {self.brick_bits} with {name} of {bits}: expected ports of 2, 4, 8, 16 or 32 bits"
                    )
        return self

    @property
    def flow(self) -> Dataflow:
        """What is true of the dataflow."""
        return DATAFLOWS[self.dataflow]

    @property
    def pipelines_tiles(self) -> bool:
        """Whether a compute tile enters the array while the one before drains."""
        return self.flow.pipelines_tiles(self.weight_preload, self.drain)

    @property
    def hides_preload(self) -> bool:
        """Whether stationary operands shift in while the tile before streams."""
        return self.flow.preloads and self.weight_preload == "overlapped"

    def passes(self, weight_bits: int, activation_bits: int) -> int:
        """Array passes per product: operands wider than the ports are fed in slices (8x16 half rate, 16x16 quarter)."""
        return -(-weight_bits // self.weight_bits) * -(-activation_bits // self.activation_bits)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per cycle, at operands as wide as the ports."""
        return self.rows * self.cols * self.dot_products

    def products(self, weight_bits: int, activation_bits: int) -> int:
        """Products of one sum that a MAC unit makes at once."""
        return self.dot_products * self.composed(weight_bits, activation_bits)

    def composed(self, weight_bits: int, activation_bits: int) -> int:
        """Products of one sum that a composable MAC makes at once; 1 without bricks.

        ``(weight port / weight slot) * (activation port / activation slot)``, a slot being the operand's width rounded up to
        2, 4, 8 or 16 bits, at most the port: 16 of 2x2, 4 of 4x4 and of 2x8, 1 of 8x8 on 8-bit ports (the Fusion Unit of
        Sharma et al., ISCA 2018).
        """
        if self.brick_bits is None:
            return 1
        weight, activation = self._bricked(weight_bits), self._bricked(activation_bits)
        return max(1, self.weight_bits // weight) * max(1, self.activation_bits // activation)

    def _bricked(self, bits: int) -> int:
        """``bits`` rounded up to a brick times a power of two."""
        brick = self.brick_bits or 1
        return brick << (-(-bits // brick) - 1).bit_length()


class AccumulatorConfig(Section):
    """The accumulators behind the array."""

    count: Annotated[fields.Words, Field(description="words in all, both halves of a double-buffered set included")]
    bits: Annotated[fields.AccumulatorBits, Field(description="width of a word, bits")]
    overflow: Annotated[fields.OverflowPolicy, Field(description="what becomes of a sum that leaves the width")]
    double_buffered: Annotated[
        StrictBool, Field(description="whether one half is requantized while the other accumulates")
    ] = True
    products_per_add: Annotated[
        fields.ProductsPerAdd,
        Field(
            description="consecutive products of a compute tile that an adder tree sums exactly before each addition, in the "
            "order kernel row, kernel column, channel, padding included; tile: all of them; overflow is judged after additions"
        ),
    ] = 1
    bias_bits: Annotated[
        fields.BiasBits | None,
        Field(description="width of a bias, bits; wider biases are refused; null: as wide as the sum"),
    ] = None
    word_per_slice: Annotated[
        StrictBool,
        Field(
            description="whether activations wider than their port take one word per slice, which makes their sums as much "
            "wider; false: slices are shifted and added into one word, as in bit-serial arrays"
        ),
    ] = True

    @model_validator(mode="after")
    def _holds_a_word(self) -> Self:
        if self.double_buffered and self.count < 2:
            raise ValueError("double-buffered accumulators need a count of 2 or more, one word per half, got 1")
        return self


class RequantizerConfig(Section):
    """The unit that takes accumulators to output codes."""

    lanes: Annotated[fields.Side, Field(description="outputs per cycle")]
    stages: Annotated[
        fields.StagesOrNone,
        Field(
            description="the unit as a list of integer stages (add, offset, multiply, shift, left, wrap, saturate, clip, table), for all "
            "MAC layers in place of the arithmetic's schemes; null: those"
        ),
    ] = None
    streaming: Annotated[
        StrictBool,
        Field(
            description="whether outputs are made as their sums come, while the array computes the rest of the tile; false: when the tile "
            "is done"
        ),
    ] = False
    pipeline_stages: Annotated[
        fields.Stages, Field(description="registers between a sum and its output, cycles behind the last sum")
    ] = 0
    parameter_bytes: Annotated[
        fields.ParameterBytes,
        Field(
            description="bytes of bias, multiplier and shift of an output channel, which stand in front of a tile of constant weights and are "
            "fetched with the first of each sum; 0: they are in place"
        ),
    ] = 0


class VectorConfig(Section):
    """The unit for layers without MACs."""

    lanes: Annotated[fields.Side, Field(description="elements per cycle")]
    fuse_activations: Annotated[
        StrictBool,
        Field(
            description="whether layers of one element each (tables, rectifiers, rescaling) are computed on the fly, in one pass with the "
            "layer before them: behind its requantizer, so that what lies between is neither stored nor loaded"
        ),
    ] = False
    fuse_elementwise: Annotated[
        StrictBool, Field(description="the same for sums and products with another tensor, which is read beside")
    ] = False
    fuse_pools: Annotated[
        StrictBool,
        Field(
            description="the same for maxima and means of windows that neither overlap nor are padded, whose pixels the array and the "
            "requantizer then take window by window"
        ),
    ] = False

    @property
    def passes(self) -> bool:
        """Whether any layer is computed on the fly."""
        return self.fuse_activations or self.fuse_elementwise or self.fuse_pools

    def fuses(self, kind: Literal["activation", "elementwise", "pool"]) -> bool:
        """Whether layers of that kind are computed on the fly."""
        if kind == "pool":
            return self.fuse_pools
        return self.fuse_activations if kind == "activation" else self.fuse_elementwise


class CoresConfig(Section):
    """How many times the machine has all but its DRAM, and how a layer is shared out."""

    count: Annotated[
        fields.Cores,
        Field(
            description="identical cores, each with its own array, accumulators, buffers, units and DMA queues, at one DRAM port"
        ),
    ] = 1
    split: Annotated[
        fields.Split,
        Field(
            description="what is shared out of a MAC layer: output channels (whole groups, where there are several), output rows, "
            "or what makes the layer faster by a closed form (auto)"
        ),
    ] = "auto"


class TechConfig(Section):
    """What one action costs."""

    energy_table: Annotated[
        fields.FileName, Field(description="name of a packaged energy table, or the path of a YAML file")
    ] = "horowitz_45nm"
    node_nm: Annotated[
        fields.Node | None,
        Field(
            description="process node that the table is scaled to, nm (Stillmaker & Baas' factors); null: the table's own"
        ),
    ] = None
    voltage_v: Annotated[
        fields.Voltage | None,
        Field(
            description="supply that the table is scaled to, V (energy with its square, leakage with it); null: the table's own"
        ),
    ] = None
    dram: Annotated[
        fields.Name | None,
        Field(
            description="DRAM whose energy per bit replaces the table's: lpddr4, ddr3, hbm2, ...; null: the table's own"
        ),
    ] = None
