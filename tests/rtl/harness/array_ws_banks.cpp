// Plays folds on array_ws. Tile: policy, preload, kept, folds, words; fold: pixels, address, first, bias[COLS],
// weights[ROWS][COLS], activations[pixels][ROWS]. Result: cycles, then words[words][COLS].
// The cycles run from the one in which the first weight (kept: activation) enters to the one whose edge writes the last word.
#include "Varray_ws_banks.h"
#include "bench.h"

struct Fold { int pixels, address, first; const int32_t *bias, *weights, *activations; };

static Varray_ws_banks top;

static void tick() {
    top.clk = 1;
    top.eval();
    top.clk = 0;
    top.eval();
}

static void weights_in(const Fold *fold, int row) {
    top.weight_first = fold && row == 0;
    for (int c = 0; c < COLS; c++) set_lane(top.weights, c, WEIGHT_BITS, fold ? fold->weights[row * COLS + c] : -1);
}

static void vector_in(const Fold *fold, int t, bool swap) {
    top.enter = fold != nullptr;
    top.enter_swap = fold && t == 0 && swap;
    top.enter_last = fold && t == fold->pixels - 1;
    top.enter_first = fold && fold->first;
    top.enter_address = fold ? fold->address + t : 0;
    for (int r = 0; r < ROWS; r++)
        set_lane(top.activations, r, ACTIVATION_BITS, fold ? fold->activations[t * ROWS + r] : -1);
    for (int c = 0; c < COLS; c++) set_lane(top.bias, c, ACC_BITS, fold ? fold->bias[c] : 0);
}

// A fold's weights enter when the fold before is done (0, serial), when it begins to stream (1, overlapped), or when it has
// streamed (2, serial, but behind it while it drains); a fold streams when its weights are in and the one before has streamed. Idle ports carry ones, so that nothing relies on zeros.
static int64_t play(const std::vector<Fold> &folds, int preload, bool kept) {
    const int count = int(folds.size());
    int loading = kept ? 1 : 0, row = 0, streaming = 0, t = 0, loaded = kept ? 1 : 0, done = 0;
    int64_t cycles = 0;
    while (done < count) {
        const bool streams = streaming < loaded;
        const int before = preload == 1 ? streaming + streams : preload == 2 ? streaming : done;
        const bool loads = loading < count && loading <= before;
        weights_in(loads ? &folds[loading] : nullptr, row);
        vector_in(streams ? &folds[streaming] : nullptr, t, !(kept && streaming == 0));
        top.eval();
        const bool finished = top.done;
        tick();
        cycles++;
        if (streams && ++t == folds[streaming].pixels) { t = 0; streaming++; }
        if (loads && ++row == ROWS) { row = 0; loading++; loaded++; }
        done += finished;
        if (cycles > 100000000) exit(4);
    }
    return cycles;
}

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    while (in.more()) {
        top.policy = in.next();
        const int preload = in.next();
        const bool kept = in.next();
        std::vector<Fold> folds(in.next());
        const int words = in.next();
        for (Fold &fold : folds) {
            fold.pixels = in.next(), fold.address = in.next(), fold.first = in.next();
            fold.bias = in.take(COLS);
            fold.weights = in.take(ROWS * COLS);
            fold.activations = in.take(size_t(fold.pixels) * ROWS);
        }
        out.put(play(folds, preload, kept));
        for (int word = 0; word < words; word++) {
            top.read_address = word;
            top.eval();
            for (int c = 0; c < COLS; c++) out.put(get_lane(top.read_data, c, ACC_BITS));
        }
    }
}
