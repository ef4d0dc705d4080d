// Bit fields of the model's ports (little-endian host).
#pragma once
#include <cstddef>
#include <cstdint>

// Lane `lane` of a packed array of lanes, `bits` wide each, in the words of a port.
template <class Port> void set_lane(Port &port, int lane, int bits, int64_t value) {
    uint8_t *bytes = reinterpret_cast<uint8_t *>(&port);
    for (int i = 0; i < bits; i++) {
        const int at = lane * bits + i;
        const uint8_t mask = uint8_t(1u << (at & 7));
        bytes[at >> 3] = (value >> i & 1) ? bytes[at >> 3] | mask : bytes[at >> 3] & ~mask;
    }
}

template <class Port> int64_t get_lane(const Port &port, int lane, int bits) {
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&port);
    uint64_t value = 0;
    for (int i = 0; i < bits; i++) {
        const int at = lane * bits + i;
        value |= uint64_t(bytes[at >> 3] >> (at & 7) & 1) << i;
    }
    return int64_t(value << (64 - bits)) >> (64 - bits);
}
