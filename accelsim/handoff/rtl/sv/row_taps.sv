// The taps of a sum on the rows of an array in turn, PRODUCTS of them each: a group begins in a row of its own, or, ALONE, in a fold of its
// own, and so does every tap of the kernel where BY_TAP. Rows without a tap repeat one.
module row_taps
  import isa_pkg::*;
#(
    parameter int ROWS     = 4,
    parameter int PRODUCTS = 1,
    parameter bit BY_TAP   = 1'b0,
    parameter bit ALONE    = 1'b0
) (
    input  tap_t                     first,
    input  compute_t                 op,
    output tap_t [ROWS*PRODUCTS-1:0] taps,
    output logic [ROWS*PRODUCTS-1:0] there,
    output tap_t                     next   // behind the last of them
);
  tap_t here, behind;
  logic row_over, fold_over;
  always_comb begin
    here = first;
    behind = first;
    row_over = 1'b0;
    fold_over = 1'b0;
    for (int i = 0; i < ROWS * PRODUCTS; i++) begin
      taps[i] = here;
      there[i] = !row_over && !fold_over;
      if (there[i]) begin
        behind = next_tap(here, op);
        row_over = behind.group != here.group;
        fold_over = (BY_TAP && behind.ic == 0) || (ALONE && row_over);
        here = behind;
      end
      if ((i + 1) % PRODUCTS == 0) row_over = 1'b0;
    end
    next = here;
  end
endmodule
