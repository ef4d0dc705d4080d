// What the harnesses share: int32 stimulus in, int64 results out, and bit fields of the model's ports (little-endian host).
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#include "lanes.h"  // of the exported bench

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
