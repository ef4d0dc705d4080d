// Plays folds on array_tree. Tile: policy, folds, words; fold: pixels, address, first, bias[COLS], weights[ROWS][COLS],
// activations[pixels][ROWS]. Result: cycles, then words[words][COLS].
// The cycles run from the one in which the first vector enters to the one whose edge writes the last word.
#include "Varray_tree_banks.h"
#include "bench.h"

static Varray_tree_banks top;

static bool tick() {
    top.eval();
    const bool done = top.done;
    top.clk = 1;
    top.eval();
    top.clk = 0;
    top.eval();
    return done;
}

static void put_idle() {
    top.enter = 0;
    for (int i = 0; i < ROWS * COLS; i++) set_lane(top.weights, i, WEIGHT_BITS, -1);
    for (int j = 0; j < ROWS; j++) set_lane(top.activations, j, ACTIVATION_BITS, -1);
}

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    while (in.more()) {
        top.policy = in.next();
        const int folds = in.next(), words = in.next();
        int64_t cycles = 0;
        bool done = false;
        for (int fold = 0; fold < folds; fold++) {
            const int pixels = in.next(), address = in.next(), first = in.next();
            const int32_t *bias = in.take(COLS), *weights = in.take(size_t(ROWS) * COLS);
            const int32_t *activations = in.take(size_t(pixels) * ROWS);
            for (int i = 0; i < ROWS * COLS; i++) set_lane(top.weights, i, WEIGHT_BITS, weights[i]);
            for (int c = 0; c < COLS; c++) set_lane(top.bias, c, ACC_BITS, bias[c]);
            for (int t = 0; t < pixels; t++, cycles++) {
                top.enter = 1, top.enter_first = first, top.enter_address = address + t;
                top.enter_last = fold == folds - 1 && t == pixels - 1;
                for (int j = 0; j < ROWS; j++) set_lane(top.activations, j, ACTIVATION_BITS, activations[t * ROWS + j]);
                done = tick();
            }
        }
        put_idle();
        for (; !done; cycles++) {
            done = tick();
            if (cycles > 100000000) exit(4);
        }
        out.put(cycles);
        for (int word = 0; word < words; word++) {
            top.read_address = word;
            top.eval();
            for (int c = 0; c < COLS; c++) out.put(get_lane(top.read_data, c, ACC_BITS));
        }
    }
}
