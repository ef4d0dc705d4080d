// The memory that keeps whole tensors, or windows of their rows, between layers: boxes of them come from the output buffer and go into
// the buffers of operands.
module resident
  import isa_pkg::*;
  import config_pkg::*;
(
    input  logic                                      clk,
    input  logic                                      rst,
    input  counts_t                                   keep_over,
    input  counts_t                                   recall_over,
    output logic                                      keep_started,
    output logic                                      keep_freed,
    output int_t                                      keep_number,
    output int_t                                      keep_count,
    output int_t [KEEP_LANES-1:0]                     keep_source,    // in the output buffer
    input  logic [KEEP_LANES-1:0][OUTPUT_WORD-1:0]    keep_data,
    output logic                                      recall_started,
    output logic                                      recall_freed,
    output int_t                                      recall_number,
    output logic                                      recall_weights, // into the buffer of weights
    output int_t                                      recall_count,
    output int_t                                      recall_write,
    output logic [RECALL_LANES-1:0][RESIDENT_WORD-1:0] recall_data
);
  logic [KEEP_LANES-1:0][RESIDENT_WORD-1:0] kept;
  int_t [KEEP_LANES-1:0] keep_address;
  int_t [RECALL_LANES-1:0] recall_address;
  int_t keep_flat;
  logic keep_weights;
  box_mover #(.COUNT(KEEP_COUNT), .LANES(KEEP_LANES), .WIDTH(KEEP_WIDTH), .FILE("images/keep.hex")) u_keep (
      .clk, .rst, .over(keep_over), .started(keep_started), .freed(keep_freed), .number(keep_number), .weights(keep_weights),
      .count(keep_count), .flat(keep_flat), .address(keep_address)
  );
  box_mover #(.COUNT(RECALL_COUNT), .LANES(RECALL_LANES), .WIDTH(RECALL_WIDTH), .FILE("images/recall.hex")) u_recall (
      .clk, .rst, .over(recall_over), .started(recall_started), .freed(recall_freed), .number(recall_number),
      .weights(recall_weights), .count(recall_count), .flat(recall_write), .address(recall_address)
  );

  localparam int ADDRESS_BITS = (RESIDENT_WORDS > 1) ? $clog2(RESIDENT_WORDS) : 1;
  logic [RESIDENT_WORD-1:0] words[RESIDENT_WORDS];
  localparam int TURNS = (KEEP_LANES < 64) ? KEEP_LANES : 64;  // as in element_memory
  always_comb for (int i = 0; i < KEEP_LANES; i++) keep_source[i] = keep_flat + i;
  always_comb for (int i = 0; i < KEEP_LANES; i++) kept[i] = RESIDENT_WORD'($signed(keep_data[i]));
  always_ff @(posedge clk)
    for (int block = 0; block < KEEP_LANES; block += TURNS)
      for (int i = 0; i < TURNS; i++)
        if (block + i < KEEP_LANES && block + i < keep_count) words[ADDRESS_BITS'(keep_address[block+i])] <= kept[block+i];
  always_comb for (int i = 0; i < RECALL_LANES; i++) recall_data[i] = words[ADDRESS_BITS'(recall_address[i])];
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{keep_weights, keep_data, keep_address, recall_address};
  // verilator lint_on UNUSEDSIGNAL
endmodule
