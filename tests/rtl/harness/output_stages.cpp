// Drives output_stages. A list: number of entries and those, clamp_min, clamp_max, STAGES records of kind, rounding, bits and the words
// (low, high) of operand, low and high, then a count and as many accumulators (low word, high word). Result: one code each.
#include "Voutput_stages.h"
#include "bench.h"

static int64_t two(Stream &in) {
    const uint64_t low = uint32_t(in.next()), high = uint32_t(in.next());
    return int64_t(high << 32 | low);
}

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    Voutput_stages top;
    while (in.more()) {
        const int entries = in.next();
        for (int i = 0; i < entries; i++) top.entries[i] = in.next();
        top.clamp_min = in.next(), top.clamp_max = in.next();
        for (int i = 0; i < STAGES; i++) {
            top.kind[i] = in.next(), top.rounding[i] = in.next(), top.bits[i] = in.next();
            top.operand[i] = two(in), top.low[i] = two(in), top.high[i] = two(in);
        }
        for (int n = in.next(); n > 0; n--) {
            top.acc = two(in);
            top.eval();
            out.put(int32_t(top.code));
        }
    }
}
