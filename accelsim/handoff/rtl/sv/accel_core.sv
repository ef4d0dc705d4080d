// The machine of config_pkg: buffers, MAC array, accumulators and requantization unit, and a queue of operations for each engine, read
// from memory images. DRAM, its port and the vector unit are outside: requests with operation numbers go out, elements come and go in
// beats. Operations that depend on each other hand over without a cycle between.
module accel_core
  import isa_pkg::*;
  import config_pkg::*;
(
    input  logic                                              clk,
    input  logic                                              rst,
    output logic [ENGINES-1:0]                                request,   // of the engines served from outside
    output int_t                                              store_number,
    output int_t                                              activation_number,
    output int_t                                              weight_number,
    output int_t                                              vector_number,
    input  logic [ENGINES-1:0]                                grant,
    input  logic [ENGINES-1:0]                                release_port,
    input  logic [ENGINES-1:0]                                beat,
    input  results_t [ENGINES-1:0]                            last,
    input  logic [ACTIVATION_LANES-1:0][ACTIVATION_WORD-1:0]  activation_data,
    input  logic [WEIGHT_LANES-1:0][WEIGHT_WORD-1:0]          weight_data,
    input  logic [OUTPUT_LANES-1:0][OUTPUT_WORD-1:0]          vector_data,
    output logic [OUTPUT_LANES-1:0][OUTPUT_WORD-1:0]          store_data,
    output int_t                                              store_count,
    output int_t [OUTPUT_LANES-1:0]                           store_position,  // in the tile
    output int_t                                              keep_number,   // to watch: tensors kept on chip, as they come and go
    output int_t                                              keep_count,
    output logic [KEEP_LANES-1:0][OUTPUT_WORD-1:0]            keep_data,
    output int_t                                              recall_number,
    output int_t                                              recall_count,
    output logic [RECALL_LANES-1:0][RESIDENT_WORD-1:0]        recall_data,
    output logic [ENGINES-1:0]                                started,
    output logic [ENGINES-1:0]                                freed,
    output results_t [ENGINES-1:0]                            finished
);
  localparam int PARAMETER_BITS = (PARAMETERS > 1) ? $clog2(PARAMETERS) : 1;
  typedef struct packed {
    logic signed [ACC_BITS-1:0] bias;
    logic [WEIGHT_WORD-1:0]     weight_zero;
    operands_t                  operands;
  } parameter_t;
  parameter_t parameters[PARAMETERS];
  initial $readmemh("images/parameters.hex", parameters);

  counts_t frees, finishes;
  int_t tiles_begun, outputs_begun, codes;
  logic outputs_begin;
  logic vector, vector_first;
  counts_t over[ENGINES];
  logic compute_finished, requantize_finished;
  assign finished[COMPUTE] = results_t'(compute_finished);
  assign finished[REQUANTIZE] = results_t'(requantize_finished);
  scoreboard u_scoreboard (.clk, .rst, .freed, .finished, .frees, .finishes);
  // Who overwrites what another engine reads waits until that lets go; everybody else until the result is there.
  for (genvar e = 0; e < ENGINES; e++) begin : g_over
    for (genvar o = 0; o < ENGINES; o++) begin : g_other
      // Sums that are taken as they come: when the first of them are there.
      if (STREAMING && e == REQUANTIZE && o == COMPUTE) assign over[e][o] = tiles_begun;
      else if (STORING && e == STORE && o == REQUANTIZE) assign over[e][o] = outputs_begun;
      else assign over[e][o] = FREED[e*ENGINES+o] ? frees[o] : finishes[o];
    end
  end

  // Transfers in front of the next one in its queue, which engines may share.
  int_t turns[ENGINES];
  always_comb
    for (int e = 0; e < ENGINES; e++) begin
      turns[e] = 0;
      for (int o = 0; o < ENGINES; o++) if (SHARED[e*ENGINES+o]) turns[e] = turns[e] + frees[o];
    end

  // Loads, stores, and the vector unit outside.
  int_t activation_count, activation_write, weight_count, weight_write, vector_count, vector_write;
  logic [ACTIVATION_LANES-1:0][ACTIVATION_WORD-1:0] activation_in;
  logic [WEIGHT_LANES-1:0][WEIGHT_WORD-1:0] weight_in;
  logic [OUTPUT_LANES-1:0][OUTPUT_WORD-1:0] vector_in;
  int_t [OUTPUT_LANES-1:0] store_address;
  load_engine #(.COUNT(LOAD_ACTIVATIONS_COUNT), .BITS(ACTIVATION_WORD), .LANES(ACTIVATION_LANES), .FILE("images/load_activations.hex"))
  u_load_activations (
      .clk, .rst, .over(over[LOAD_ACTIVATIONS]), .turns(turns[LOAD_ACTIVATIONS]),
      .request(request[LOAD_ACTIVATIONS]), .number(activation_number),
      .grant(grant[LOAD_ACTIVATIONS]), .release_port(release_port[LOAD_ACTIVATIONS]), .beat(beat[LOAD_ACTIVATIONS]),
      .last(last[LOAD_ACTIVATIONS]), .data(activation_data), .freed(freed[LOAD_ACTIVATIONS]),
      .finished(finished[LOAD_ACTIVATIONS]), .write_count(activation_count), .write_address(activation_write),
      .write_data(activation_in)
  );
  load_engine #(.COUNT(LOAD_WEIGHTS_COUNT), .BITS(WEIGHT_WORD), .LANES(WEIGHT_LANES), .FILE("images/load_weights.hex"))
  u_load_weights (
      .clk, .rst, .over(over[LOAD_WEIGHTS]), .turns(turns[LOAD_WEIGHTS]), .request(request[LOAD_WEIGHTS]), .number(weight_number),
      .grant(grant[LOAD_WEIGHTS]), .release_port(release_port[LOAD_WEIGHTS]), .beat(beat[LOAD_WEIGHTS]),
      .last(last[LOAD_WEIGHTS]), .data(weight_data), .freed(freed[LOAD_WEIGHTS]), .finished(finished[LOAD_WEIGHTS]),
      .write_count(weight_count), .write_address(weight_write), .write_data(weight_in)
  );
  load_engine #(.COUNT(VECTOR_COUNT), .BITS(OUTPUT_WORD), .LANES(OUTPUT_LANES), .FILE("images/vector.hex")) u_vector (
      .clk, .rst, .over(over[VECTOR]), .turns(turns[VECTOR]), .request(request[VECTOR]),
      .number(vector_number), .grant(grant[VECTOR]),
      .release_port(release_port[VECTOR]), .beat(beat[VECTOR]), .last(last[VECTOR]), .data(vector_data),
      .freed(freed[VECTOR]), .finished(finished[VECTOR]), .write_count(vector_count), .write_address(vector_write),
      .write_data(vector_in)
  );
  store_engine #(.COUNT(STORE_COUNT), .LANES(OUTPUT_LANES), .COLS(COLS), .TURNED(TURNED), .FILE("images/store.hex")) u_store (
      .clk, .rst, .over(over[STORE]), .turns(turns[STORE]), .request(request[STORE]),
      .number(store_number), .grant(grant[STORE]),
      .release_port(release_port[STORE]), .beat(beat[STORE]), .last(last[STORE]), .freed(freed[STORE]),
      .finished(finished[STORE]), .codes, .count(store_count), .position(store_position), .read_address(store_address)
  );
  for (genvar e = 0; e < ENGINES; e++) begin : g_started
    if (e <= LOAD_WEIGHTS || e == VECTOR) begin : g_outside
      assign started[e] = grant[e];
    end else begin : g_inside
      assign request[e] = 1'b0;
    end
  end

  // Tensors kept on chip.
  int_t [KEEP_LANES-1:0] keep_source;
  int_t recall_write;
  logic recall_weights;
  if (KEEP_COUNT > 0) begin : g_resident
    resident u_resident (
        .clk, .rst, .keep_over(over[KEEP]), .recall_over(over[RECALL]), .keep_started(started[KEEP]), .keep_freed(freed[KEEP]),
        .keep_number, .keep_count, .keep_source, .keep_data, .recall_started(started[RECALL]), .recall_freed(freed[RECALL]),
        .recall_number, .recall_weights, .recall_count, .recall_write, .recall_data
    );
  end else begin : g_none
    assign {started[RECALL], started[KEEP], freed[RECALL], freed[KEEP], recall_weights, recall_data} = '0;
    assign {keep_number, keep_count, keep_source, recall_number, recall_count, recall_write} = '0;
  end
  assign finished[KEEP] = results_t'(freed[KEEP]);
  assign finished[RECALL] = results_t'(freed[RECALL]);
  logic [ACTIVATION_LANES-1:0][ACTIVATION_WORD-1:0] recalled_activations;
  logic [WEIGHT_LANES-1:0][WEIGHT_WORD-1:0] recalled_weights;
  always_comb begin
    recalled_activations = '0;
    recalled_weights = '0;
    for (int i = 0; i < RECALL_LANES; i++) begin
      if (i < ACTIVATION_LANES) recalled_activations[i] = ACTIVATION_WORD'($signed(recall_data[i]));
      if (i < WEIGHT_LANES) recalled_weights[i] = WEIGHT_WORD'($signed(recall_data[i]));
    end
  end

  // Requantization.
  localparam int WRITERS = STREAMING ? REQUANTIZER_LANES : 1;
  int_t [WRITERS-1:0] requantized_count, requantized_write;
  logic [REQUANTIZER_LANES-1:0][OUTPUT_WORD-1:0] requantized;
  logic [WRITERS-1:0][OUTPUT_LANES-1:0][OUTPUT_WORD-1:0] requantized_wide;
  int_t [REQUANTIZER_LANES-1:0] sum_address, parameter_address;
  logic [REQUANTIZER_LANES-1:0][ACC_BITS-1:0] sums;
  operands_t [REQUANTIZER_LANES-1:0] operands;
  logic [REQUANTIZER_LANES-1:0][ADDR_BITS-1:0] read_address;
  requantizer #(
      .COUNT(REQUANTIZE_COUNT), .LANES(REQUANTIZER_LANES), .WRITERS(WRITERS), .COLS(COLS), .TURNED(TURNED), .STAGES(REQUANTIZER_STAGES), .ACC_BITS(ACC_BITS),
      .BITS(OUTPUT_WORD), .OPERANDS($bits(operands_t)), .FILE("images/requantize.hex")
  ) u_requantizer (
      .clk, .rst, .over(over[REQUANTIZE]), .vector, .computes(finishes[COMPUTE]), .started(started[REQUANTIZE]), .freed(freed[REQUANTIZE]),
      .finished(requantize_finished), .address(sum_address), .sums, .parameter_address,
      .operands, .write_count(requantized_count), .write_address(requantized_write),
      .write_data(requantized)
  );
  parameter_t [REQUANTIZER_LANES-1:0] lane_parameters;
  always_comb begin
    requantized_wide = '0;
    for (int i = 0; i < REQUANTIZER_LANES; i++) requantized_wide[STREAMING ? i : 0][STREAMING ? 0 : i] = requantized[i];
    for (int i = 0; i < REQUANTIZER_LANES; i++) begin
      read_address[i] = ADDR_BITS'(sum_address[i]);
      lane_parameters[i] = parameters[PARAMETER_BITS'(parameter_address[i])];
      operands[i] = lane_parameters[i].operands;
    end
  end
  element_memory #(
      .BITS(OUTPUT_WORD), .WORDS(OUTPUT_WORDS), .WRITERS(WRITERS + 1), .LANES(OUTPUT_LANES), .READS(OUTPUT_LANES + KEEP_LANES)
  ) u_outputs (
      .clk, .write_count({vector_count, requantized_count}), .write_address({vector_write, requantized_write}),
      .write_data({vector_in, requantized_wide}), .read_address({keep_source, store_address}),
      .read_data({keep_data, store_data})
  );

  // Array and what feeds it.
  int_t [COLS-1:0] bias_address;
  logic [COLS-1:0][ACC_BITS-1:0] bias;
  int_t [ZERO_LANES-1:0] zero_address;
  logic [ZERO_LANES-1:0][WEIGHT_WORD-1:0] weight_zero;
  parameter_t [ZERO_LANES-1:0] weight_parameters;
  parameter_t [COLS-1:0] column_parameters;
  array_core u_array (
      .clk, .rst, .over(over[COMPUTE]), .started(started[COMPUTE]), .freed(freed[COMPUTE]), .finished(compute_finished),
      .vector, .vector_first, .zero_address, .weight_zero,
      .bias_address, .bias, .activation_count({recall_weights ? 0 : recall_count, activation_count}),
      .activation_write({recall_write, activation_write}), .activation_in({recalled_activations, activation_in}),
      .weight_count({recall_weights ? recall_count : 0, weight_count}), .weight_write({recall_write, weight_write}),
      .weight_in({recalled_weights, weight_in}),
      .read_address, .read_data(sums)
  );
  always_comb
    for (int i = 0; i < ZERO_LANES; i++) begin
      weight_parameters[i] = parameters[PARAMETER_BITS'(zero_address[i])];
      weight_zero[i] = weight_parameters[i].weight_zero;
    end
  always_comb
    for (int c = 0; c < COLS; c++) begin
      column_parameters[c] = parameters[PARAMETER_BITS'(bias_address[c])];
      bias[c] = column_parameters[c].bias;
    end
  delay #(.BITS(1), .STAGES(REQUANTIZER_STAGES)) u_outputs_begin (.clk, .early(started[REQUANTIZE]), .late(outputs_begin));
  always_ff @(posedge clk) outputs_begun <= rst ? 0 : outputs_begun + int_t'(outputs_begin);
  always_comb begin
    codes = 0;
    for (int w = 0; w < WRITERS; w++) codes = codes + requantized_count[w];
  end
  always_ff @(posedge clk) tiles_begun <= rst ? 0 : tiles_begun + int_t'(vector_first);
  // verilator lint_off UNUSEDSIGNAL
  logic unused;
  assign unused = ^{tiles_begun, outputs_begun, codes, weight_parameters, lane_parameters, column_parameters, sum_address, grant, release_port, beat, last, recall_data};
  // verilator lint_on UNUSEDSIGNAL
endmodule
