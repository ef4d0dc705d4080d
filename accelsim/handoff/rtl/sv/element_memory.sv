// On-chip memory of elements: WRITERS runs of up to LANES neighbours and READS single elements a cycle, read without a register.
module element_memory
  import isa_pkg::*;
#(
    parameter int BITS    = 8,
    parameter int WORDS   = 1024,
    parameter int WRITERS = 1,
    parameter int LANES   = 4,
    parameter int READS   = 1
) (
    input  logic                                     clk,
    input  int_t [WRITERS-1:0]                       write_count,
    input  int_t [WRITERS-1:0]                       write_address,
    input  logic [WRITERS-1:0][LANES-1:0][BITS-1:0]  write_data,
    input  int_t [READS-1:0]                         read_address,
    output logic [READS-1:0][BITS-1:0]               read_data
);
  localparam int ADDRESS_BITS = (WORDS > 1) ? $clog2(WORDS) : 1;
  logic [BITS-1:0] words[WORDS];

  // Two loops over the lanes: Verilator unrolls, and so takes such writes in, up to 64 turns.
  localparam int TURNS = (LANES < 64) ? LANES : 64;
  always_ff @(posedge clk) begin
    for (int w = 0; w < WRITERS; w++)
      for (int block = 0; block < LANES; block += TURNS)
        for (int i = 0; i < TURNS; i++)
          if (block + i < LANES && block + i < write_count[w])
            words[ADDRESS_BITS'(write_address[w] + block + i)] <= write_data[w][block+i];
  end
  always_comb for (int i = 0; i < READS; i++) read_data[i] = words[ADDRESS_BITS'(read_address[i])];
endmodule
