// Plays folds on array_os_steps. Tile: policy, folds; fold: reduction, bias[COLS], weights[reduction][COLS],
// activations[reduction][ROWS]. Result: cycles, then per fold acc[ROWS][COLS].
// The cycles run from the one in which the first operands enter to the one whose edge writes the last accumulator.
#include "Varray_os_steps.h"
#include "bench.h"

static Varray_os_steps top;

static int64_t play(int steps, const int32_t *bias, const int32_t *weights, const int32_t *activations) {
    for (int c = 0; c < COLS; c++) set_lane(top.bias, c, ACC_BITS, bias[c]);
    for (int64_t cycles = 0;; cycles++) {
        const bool enters = cycles < steps;
        top.step = enters, top.step_first = cycles == 0, top.step_last = cycles == steps - 1;
        for (int c = 0; c < COLS; c++) set_lane(top.weights, c, WEIGHT_BITS, enters ? weights[cycles * COLS + c] : -1);
        for (int r = 0; r < ROWS; r++)
            set_lane(top.activations, r, ACTIVATION_BITS, enters ? activations[cycles * ROWS + r] : -1);
        top.eval();
        const bool finished = top.done;
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
        if (finished) return cycles + 1;
        if (cycles > 100000000) exit(4);
    }
}

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    while (in.more()) {
        top.policy = in.next();
        const int folds = in.next();
        int64_t cycles = 0;
        std::vector<int64_t> words;
        for (int fold = 0; fold < folds; fold++) {
            const int steps = in.next();
            const int32_t *bias = in.take(COLS), *weights = in.take(size_t(steps) * COLS);
            cycles += play(steps, bias, weights, in.take(size_t(steps) * ROWS));
            for (int r = 0; r < ROWS; r++) {
                top.read_row = r;
                top.eval();
                for (int c = 0; c < COLS; c++) words.push_back(get_lane(top.read_data, c, ACC_BITS));
            }
        }
        out.put(cycles);
        for (int64_t word : words) out.put(word);
    }
}
