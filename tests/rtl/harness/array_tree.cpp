// Plays sums on array_tree. Tile: policy, sums; sum: steps, bias[COLS], weights[steps][COLS][TREE], activations[steps][TREE].
// Result: cycles (one per step), then per sum acc[COLS].
#include "Varray_tree.h"
#include "bench.h"

static Varray_tree top;

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    while (in.more()) {
        top.policy = in.next();
        const int sums = in.next();
        int64_t cycles = 0;
        std::vector<int64_t> words;
        for (int sum = 0; sum < sums; sum++) {
            const int steps = in.next();
            const int32_t *bias = in.take(COLS);
            const int32_t *weights = in.take(size_t(steps) * COLS * TREE), *activations = in.take(size_t(steps) * TREE);
            for (int c = 0; c < COLS; c++) set_lane(top.bias, c, ACC_BITS, bias[c]);
            for (int step = 0; step < steps; step++, cycles++) {
                top.step = 1, top.step_first = step == 0;
                for (int i = 0; i < COLS * TREE; i++)
                    set_lane(top.weights, i, WEIGHT_BITS, weights[size_t(step) * COLS * TREE + i]);
                for (int j = 0; j < TREE; j++) set_lane(top.activations, j, ACTIVATION_BITS, activations[step * TREE + j]);
                top.eval();
                top.clk = 1;
                top.eval();
                top.clk = 0;
                top.eval();
            }
            for (int c = 0; c < COLS; c++) words.push_back(get_lane(top.acc, c, ACC_BITS));
        }
        out.put(cycles);
        for (int64_t word : words) out.put(word);
    }
}
