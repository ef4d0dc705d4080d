// What the harnesses share: int32 stimulus in, int64 results out, and bit fields of the model's ports (little-endian host).
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

struct Stream {
    std::vector<int32_t> data;
    size_t at = 0;
    explicit Stream(const char *path) {
        FILE *file = fopen(path, "rb");
        if (!file) exit(2);
        fseek(file, 0, SEEK_END);
        data.resize(ftell(file) / sizeof(int32_t));
        rewind(file);
        if (fread(data.data(), sizeof(int32_t), data.size(), file) != data.size()) exit(2);
        fclose(file);
    }
    bool more() const { return at < data.size(); }
    int32_t next() { return data.at(at++); }
    const int32_t *take(size_t count) {
        if (at + count > data.size()) exit(3);
        at += count;
        return data.data() + at - count;
    }
};

struct Results {
    FILE *file;
    explicit Results(const char *path) : file(fopen(path, "wb")) { if (!file) exit(2); }
    ~Results() { fclose(file); }
    void put(int64_t value) { fwrite(&value, sizeof value, 1, file); }
};

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
