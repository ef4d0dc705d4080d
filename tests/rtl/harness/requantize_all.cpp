// Drives requantize_all. Record: select, acc low word, acc high word, multiplier, shift, zero_point, clamp_min, clamp_max.
// Result: one code per record.
#include "Vrequantize_all.h"
#include "bench.h"

int main(int, char **argv) {
    Stream in(argv[1]);
    Results out(argv[2]);
    Vrequantize_all top;
    while (in.more()) {
        top.select = in.next();
        const uint64_t low = uint32_t(in.next()), high = uint32_t(in.next());
        top.acc = high << 32 | low;
        top.multiplier = in.next(), top.shift = in.next();
        top.zero_point = in.next(), top.clamp_min = in.next(), top.clamp_max = in.next();
        top.eval();
        out.put(int32_t(top.code));
    }
}
