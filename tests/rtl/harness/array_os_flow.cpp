// Plays folds on array_os_flow, each entering max(steps, ROWS) cycles behind the one before. Tile: policy, folds; fold: reduction,
// bias[COLS], weights[reduction][COLS], activations[reduction][ROWS]. Result: cycles, then per fold acc[ROWS][COLS].
// The cycles run from the one in which the first operands enter to the one whose edge writes the last accumulator.
#include <algorithm>
#include "Varray_os_flow.h"
#include "bench.h"

struct Fold { int steps; const int32_t *bias, *weights, *activations; };

static Varray_os_flow top;

static void enter(const Fold *fold, int step) {
    top.step = fold != nullptr;
    top.step_first = fold && step == 0, top.step_last = fold && step == fold->steps - 1;
    for (int c = 0; c < COLS; c++) {
        set_lane(top.weights, c, WEIGHT_BITS, fold ? fold->weights[step * COLS + c] : -1);
        set_lane(top.bias, c, ACC_BITS, fold && step == 0 ? fold->bias[c] : -1);
    }
    for (int r = 0; r < ROWS; r++)
        set_lane(top.activations, r, ACTIVATION_BITS, fold ? fold->activations[step * ROWS + r] : -1);
}

// Sums of a column come in the order of folds and rows.
static int64_t play(const std::vector<Fold> &folds, std::vector<std::vector<int64_t>> &columns) {
    size_t fold = 0;
    int step = 0, finished = 0;
    int64_t cycles = 0, written = 0;
    const size_t each = folds.size() * ROWS;
    auto all = [&] { for (auto &column : columns) if (column.size() < each) return false; return true; };
    for (int64_t cycle = 0; !all(); cycle++) {
        const bool enters = fold < folds.size() && step < folds[fold].steps;
        enter(enters ? &folds[fold] : nullptr, step);
        top.eval();
        if (top.clash) exit(5);
        for (int c = 0; c < COLS; c++)
            if (top.leaves >> c & 1) columns[c].push_back(get_lane(top.sums, c, ACC_BITS));
        if (top.done && ++finished == int(folds.size())) written = cycle + 1;
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
        if (fold < folds.size() && ++step >= std::max(folds[fold].steps, ROWS)) step = 0, fold++;
        if (cycle > 100000000) exit(4);
        cycles = written;
    }
    return cycles;
}

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    while (in.more()) {
        top.policy = in.next();
        std::vector<Fold> folds(in.next());
        for (Fold &fold : folds) {
            fold.steps = in.next();
            fold.bias = in.take(COLS), fold.weights = in.take(size_t(fold.steps) * COLS);
            fold.activations = in.take(size_t(fold.steps) * ROWS);
        }
        std::vector<std::vector<int64_t>> columns(COLS);
        out.put(play(folds, columns));
        for (size_t fold = 0; fold < folds.size(); fold++)
            for (int r = 0; r < ROWS; r++)
                for (int c = 0; c < COLS; c++) out.put(columns[c].at(fold * ROWS + r));
    }
}
