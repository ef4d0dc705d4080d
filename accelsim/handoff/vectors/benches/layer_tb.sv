// Feeds one exported layer to a device under test, output by output, and compares accumulators and codes with the vectors.
// layer.svh of the layer's folder says shapes, widths and files. What the device made goes to results/, for accelsim compare-vectors.
`timescale 1ns / 1ps
module layer_tb;
`include "layer.svh"
    localparam PIXELS = N * OH * OW;

    reg [W_BITS-1:0] weights[0:OC*KH*KW*IC_PER_GROUP-1];
    reg [X_BITS-1:0] activations[0:N*AH*AW*IC-1];
    reg [B_BITS-1:0] biases[0:OC-1];
    reg [ACC_BITS-1:0] sums[0:PIXELS*OC-1];
    reg [Y_BITS-1:0] codes[0:PIXELS*OC-1];
    reg [32:0] factors[0:FORMS-1];
    reg [63:0] offsets[0:FORMS-1];
    reg [63:0] negatives[0:FORMS-1];
    reg [7:0] shifts[0:FORMS-1];

    reg clk = 0;
    reg start = 0, valid = 0, finish = 0;
    reg signed [63:0] bias = 0, offset = 0, negative = 0;
    reg signed [32:0] x = 0, w = 0, factor = 0;
    reg [7:0] shift = 0;
    wire done;
    wire signed [63:0] acc;
    wire signed [32:0] code;

    toy_mac #(.ACC_BITS(ACC_BITS), .POLICY(POLICY)) dut (
        .clk(clk), .start(start), .valid(valid), .finish(finish), .bias(bias), .x(x), .x_zero(33'(X_ZERO)), .w(w),
        .factor(factor), .offset(offset), .negative(negative), .shift(shift), .y_zero(33'(Y_ZERO)),
        .clamp_min(33'(CLAMP_MIN)), .clamp_max(33'(CLAMP_MAX)), .done(done), .acc(acc), .code(code));

    always #5 clk = ~clk;

    integer n, oy, ox, o, ky, kx, c, at, form, wrong, out_sums, out_codes;
    reg [X_BITS-1:0] x_bits;
    reg [W_BITS-1:0] w_bits;

    initial begin
        $readmemh({FOLDER, "/weights.hex"}, weights);
        $readmemh({FOLDER, "/activations.hex"}, activations);
        $readmemh({FOLDER, "/bias.hex"}, biases);
        $readmemh({FOLDER, "/accumulators.hex"}, sums);
        $readmemh({FOLDER, "/output.hex"}, codes);
        if (HAS_FORM) begin
            $readmemh({FOLDER, "/form_factor.hex"}, factors);
            $readmemh({FOLDER, "/form_offset.hex"}, offsets);
            $readmemh({FOLDER, "/form_negative.hex"}, negatives);
            $readmemh({FOLDER, "/form_shift.hex"}, shifts);
        end
        out_sums = $fopen({"results/", FOLDER, "/accumulators.hex"}, "w");
        if (HAS_FORM) out_codes = $fopen({"results/", FOLDER, "/output.hex"}, "w");
        wrong = 0;
        for (n = 0; n < N; n = n + 1)
            for (oy = 0; oy < OH; oy = oy + 1)
                for (ox = 0; ox < OW; ox = ox + 1)
                    for (o = 0; o < OC; o = o + 1) one_output;
        $fclose(out_sums);
        if (HAS_FORM) $fclose(out_codes);
        if (wrong == 0) $display("PASS %s: %0d outputs", FOLDER, PIXELS * OC);
        else $display("FAIL %s: %0d of %0d outputs", FOLDER, wrong, PIXELS * OC);
        $finish;
    end

    task one_output;
        begin
            form = FORMS == 1 ? 0 : o;
            at = ((n * OH + oy) * OW + ox) * OC + o;
            @(negedge clk);
            start = 1;
            bias = 64'($signed(biases[o]));
            @(negedge clk);
            start = 0;
            valid = 1;
            for (ky = 0; ky < KH; ky = ky + 1)
                for (kx = 0; kx < KW; kx = kx + 1)
                    for (c = 0; c < IC_PER_GROUP; c = c + 1) begin
                        x_bits = activations[((n * AH + oy * STRIDE_H + ky * DILATION_H) * AW + ox * STRIDE_W + kx * DILATION_W) * IC
                                             + (o / OC_PER_GROUP) * IC_PER_GROUP + c];
                        w_bits = weights[((o * KH + ky) * KW + kx) * IC_PER_GROUP + c];
                        x = X_SIGNED ? 33'($signed(x_bits)) : 33'(x_bits);
                        w = W_SIGNED ? 33'($signed(w_bits)) : 33'(w_bits);
                        @(negedge clk);
                    end
            valid = 0;
            finish = 1;
            if (HAS_FORM) begin
                factor = factors[form];
                offset = offsets[form];
                negative = negatives[form];
                shift = shifts[form];
            end
            @(negedge clk);
            finish = 0;
            $fwrite(out_sums, "%h\n", acc[ACC_BITS-1:0]);
            if (HAS_FORM) $fwrite(out_codes, "%h\n", code[Y_BITS-1:0]);
            if (!done || acc[ACC_BITS-1:0] !== sums[at] || (HAS_FORM && code[Y_BITS-1:0] !== codes[at])) begin
                if (wrong == 0)
                    $display("image %0d row %0d column %0d channel %0d: accumulator %h, not %h; code %h, not %h",
                             n, oy, ox, o, acc[ACC_BITS-1:0], sums[at], code[Y_BITS-1:0], codes[at]);
                wrong = wrong + 1;
            end
        end
    endtask
endmodule
