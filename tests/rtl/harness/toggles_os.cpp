// Plays folds on toggles_os. Tile: folds; fold: reduction, bias[COLS], weights[reduction][COLS], activations[reduction][ROWS].
// Result: bits toggled on the activation, weight and accumulator registers. Before the count the accumulators take the bias of the
// first fold and its first operands stand on every register; between folds the ports hold the last operands.
#include "Vtoggles_os.h"
#include "bench.h"

static Vtoggles_os top;

static void tick() {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
}

static void drive(const int32_t *weights, const int32_t *activations) {
    for (int c = 0; c < COLS; c++) set_lane(top.weights, c, WEIGHT_BITS, weights ? weights[c] : 0);
    for (int r = 0; r < ROWS; r++) set_lane(top.activations, r, ACTIVATION_BITS, activations ? activations[r] : 0);
}

static void idle(int cycles) {
    top.step = top.step_first = top.step_last = 0;
    for (int i = 0; i < cycles; i++) tick();
}

int main(int, char **argv) {
    const int settle = ROWS + COLS + 2;
    Stream in(argv[1]);
    Results out(argv[2]);
    while (in.more()) {
        const int folds = in.next();
        for (int fold = 0; fold < folds; fold++) {
            const int steps = in.next();
            const int32_t *bias = in.take(COLS), *w = in.take(size_t(steps) * COLS), *x = in.take(size_t(steps) * ROWS);
            for (int c = 0; c < COLS; c++) set_lane(top.bias, c, ACC_BITS, bias[c]);
            if (fold == 0) {
                top.count = 0, top.clear = 1;
                drive(nullptr, nullptr);
                idle(settle);
                top.step = top.step_first = 1;
                for (int i = 0; i < settle; i++) tick();
                idle(settle);
                drive(w, x);
                idle(settle);
                top.clear = 0, top.count = 1;
            }
            for (int t = 0; t < steps; t++) {
                drive(w + t * COLS, x + t * ROWS);
                top.step = 1, top.step_first = t == 0, top.step_last = t == steps - 1;
                tick();
            }
            idle(settle);
        }
        out.put(top.activation_toggles), out.put(top.weight_toggles), out.put(top.acc_toggles);
    }
}
