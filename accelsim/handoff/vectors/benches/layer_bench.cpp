// Feeds one exported layer to a device under test that Verilator made a C++ class of, and compares accumulators and codes with the
// vectors. layer.h of the layer's folder says shapes, widths and files. What the device made goes to results/.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "Vtoy_mac.h"
#include "layer.h"

static const std::string folder = FOLDER;

static int64_t sign_extended(uint64_t word, int bits, bool is_signed) {
    if (bits == 64 || !is_signed) return int64_t(word);
    return int64_t(word << (64 - bits)) >> (64 - bits);
}

static std::vector<int64_t> read(const char *stream, int bits, bool is_signed) {
    const std::string path = folder + "/" + stream + ".hex";
    FILE *file = fopen(path.c_str(), "r");
    if (!file) { fprintf(stderr, "%s cannot be read\n", path.c_str()); exit(2); }
    std::vector<int64_t> words;
    for (uint64_t word; fscanf(file, "%" SCNx64, &word) == 1;) words.push_back(sign_extended(word, bits, is_signed));
    fclose(file);
    return words;
}

static FILE *write(const char *stream) {
    const std::string path = "results/" + folder + "/" + stream + ".hex";
    FILE *file = fopen(path.c_str(), "w");
    if (!file) { fprintf(stderr, "%s cannot be written\n", path.c_str()); exit(2); }
    return file;
}

static void put(FILE *file, int64_t value, int bits) {
    const uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
    fprintf(file, "%0*" PRIx64 "\n", (bits + 3) / 4, uint64_t(value) & mask);
}

static const uint64_t port33 = (uint64_t(1) << 33) - 1;
static Vtoy_mac dut;

static void tick() {
    dut.clk = 0, dut.eval();
    dut.clk = 1, dut.eval();
}

int main() {
    const auto weights = read("weights", W_BITS, W_SIGNED), activations = read("activations", X_BITS, X_SIGNED);
    const auto bias = read("bias", B_BITS, true), sums = read("accumulators", ACC_BITS, true), codes = read("output", Y_BITS, Y_SIGNED);
    std::vector<int64_t> factor(1), offset(1), negative(1), shift(1);
    if (HAS_FORM) {
        factor = read("form_factor", 33, true), offset = read("form_offset", 64, true);
        negative = read("form_negative", 64, true), shift = read("form_shift", 8, true);
    }
    FILE *out_sums = write("accumulators"), *out_codes = HAS_FORM ? write("output") : nullptr;
    dut.x_zero = uint64_t(int64_t(X_ZERO)) & port33, dut.y_zero = uint64_t(int64_t(Y_ZERO)) & port33;
    dut.clamp_min = uint64_t(int64_t(CLAMP_MIN)) & port33, dut.clamp_max = uint64_t(int64_t(CLAMP_MAX)) & port33;
    size_t at = 0, wrong = 0;
    for (size_t n = 0; n < N; n++) for (size_t oy = 0; oy < OH; oy++) for (size_t ox = 0; ox < OW; ox++) for (size_t o = 0; o < OC; o++, at++) {
        dut.start = 1, dut.bias = bias[o];
        tick();
        dut.start = 0, dut.valid = 1;
        for (size_t ky = 0; ky < KH; ky++) for (size_t kx = 0; kx < KW; kx++) for (size_t c = 0; c < IC_PER_GROUP; c++) {
            const size_t row = oy * STRIDE_H + ky * DILATION_H, column = ox * STRIDE_W + kx * DILATION_W;
            dut.x = uint64_t(activations[((n * AH + row) * AW + column) * IC + o / OC_PER_GROUP * IC_PER_GROUP + c]) & port33;
            dut.w = uint64_t(weights[((o * KH + ky) * KW + kx) * IC_PER_GROUP + c]) & port33;
            tick();
        }
        const size_t form = FORMS == 1 ? 0 : o;
        dut.valid = 0, dut.finish = 1;
        dut.factor = uint64_t(factor[form]) & port33, dut.offset = offset[form], dut.negative = negative[form], dut.shift = shift[form];
        tick();
        dut.finish = 0;
        const int64_t sum = int64_t(dut.acc), code = sign_extended(dut.code, 33, true);
        put(out_sums, sum, ACC_BITS);
        if (HAS_FORM) put(out_codes, code, Y_BITS);
        if (!dut.done || sum != sums[at] || (HAS_FORM && code != codes[at])) {
            if (!wrong++)
                printf("image %zu row %zu column %zu channel %zu: accumulator %" PRId64 ", not %" PRId64 "; code %" PRId64 ", not %" PRId64 "\n",
                       n, oy, ox, o, sum, sums[at], code, codes[at]);
        }
    }
    fclose(out_sums);
    if (out_codes) fclose(out_codes);
    if (wrong) printf("FAIL %s: %zu of %zu outputs\n", FOLDER, wrong, at);
    else printf("PASS %s: %zu outputs\n", FOLDER, at);
    return wrong != 0;
}
