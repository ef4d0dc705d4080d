// DRAM, its ports and the vector unit around accel_core, by the laws of the machine: the cycles and the latency of each transfer stand
// in the plan; who goes first at a port is decided here (the cycle in which an operation became ready, then the engine's priority).
//
// Compares every code that is stored or kept on chip and the cycle in which every operation starts, lets go of its engine and has its result. Ends with
// the number of differences as its exit status, 1 at most; the first one is told.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>
#include "Vaccel_core.h"
#include "Vaccel_core_config_pkg.h"
#include "lanes.h"

using Config = Vaccel_core_config_pkg;
enum { STORE, LOAD_ACTIVATIONS, LOAD_WEIGHTS, COMPUTE, REQUANTIZE, VECTOR, KEEP, RECALL, ENGINES };
static const char *NAMES[] = {"store", "load activations", "load weights", "compute", "requantize", "vector", "keep", "recall"};

enum { RANK = 6 };  // axes of a box, those in front of it 1

struct Operation {
    int number, port, queue;
    int64_t start, until, finish, cycles, latency, follows, lag, base;  // the requantization that a store follows, and how far behind
    int64_t shape[RANK], low[RANK], high[RANK];
    std::string where;
    int64_t padding = 0;           // its code
    std::vector<int64_t> matrix;   // where the elements of the windows stand that a load leaves one behind the other, -1: padding
    // Elements of its box, in order, as places in DRAM.
    std::vector<int64_t> places() const {
        if (!matrix.empty()) return matrix;
        std::vector<int64_t> found{0};
        for (int axis = 0; axis < RANK; axis++) {
            std::vector<int64_t> longer;
            for (int64_t place : found)
                for (int64_t at = low[axis]; at < high[axis]; at++) longer.push_back(place * shape[axis] + at);
            found = longer;
        }
        for (int64_t &place : found) place += base;
        return found;
    }
};

static std::vector<Operation> queues[ENGINES];
static std::vector<int64_t> dram, expected;
static std::vector<char> stored;
static uint64_t different, compared;

static void differs(const Operation &op, int engine, const char *what, int64_t want, int64_t got) {
    if (different++ == 0)
        printf("FIRST DIFFERENCE: %s of operation %d (%s %s): expected %" PRId64 ", got %" PRId64 "\n", what, op.number,
               NAMES[engine], op.where.c_str(), want, got);
}

static std::vector<int64_t> numbers(const char *path) {
    std::ifstream file(path);
    if (!file) { printf("%s: cannot be read\n", path); exit(2); }
    std::vector<int64_t> found;
    for (int64_t value; file >> value;) found.push_back(value);
    return found;
}

static void read_matrices() {
    const std::vector<int64_t> text = numbers("bench/matrices.txt");
    for (size_t at = 0; at < text.size(); at += 3 + text[at + 2])
        for (Operation &op : queues[LOAD_ACTIVATIONS])
            if (op.number == text[at]) op.padding = text[at + 1], op.matrix.assign(&text[at + 3], &text[at + 3] + text[at + 2]);
}

static void read_plan() {
    std::ifstream file("bench/operations.txt");
    if (!file) { printf("bench/operations.txt: cannot be read\n"); exit(2); }
    int engine;
    Operation op;
    while (file >> engine >> op.number >> op.port >> op.queue >> op.start >> op.until >> op.finish >> op.cycles >> op.latency >> op.follows >> op.lag >> op.base) {
        for (int64_t *part : {op.shape, op.low, op.high})
            for (int i = 0; i < RANK; i++) file >> part[i];
        std::getline(file >> std::ws, op.where);
        queues[engine].push_back(op);
    }
    read_matrices();
    dram = numbers("bench/dram.txt"), expected = numbers("bench/expected.txt");
    stored.assign(expected.size(), 0);
}

// What the core has asked for and gets: the last cycle at the port, that of the result, and the elements on their way.
struct Transfer {
    int64_t own, last, first_beat;
    const Operation *op;
    std::vector<int64_t> data;
    size_t at;
};

static Vaccel_core top;
static std::deque<Transfer> under_way[ENGINES];
static int64_t release_at[ENGINES], ready_at[ENGINES], last_finish[ENGINES], port_free[ENGINES];
static size_t asked[ENGINES], begun[ENGINES], freed[ENGINES], finished[ENGINES];
static std::vector<int64_t> requantized_at;  // when the codes of each are there
static const int LANES[] = {Config::OUTPUT_LANES, Config::ACTIVATION_LANES, Config::WEIGHT_LANES, 0, 0, Config::OUTPUT_LANES, 0, 0};

// The operation lets go of its port and engine before `until`.
static void release_behind(int engine, const Operation &op, Transfer &transfer, int64_t until) {
    int64_t &finish = last_finish[op.queue];
    release_at[engine] = until - 1;
    finish = std::max(finish, until + op.latency);
    transfer.last = finish - 1;
    if (engine != VECTOR) port_free[op.port] = until;
}

// A store of codes as they come ends behind the last one.
static void end_store() {
    if (under_way[STORE].empty() || release_at[STORE] != INT64_MAX) return;
    Transfer &transfer = under_way[STORE].back();
    const Operation &op = *transfer.op;
    if (finished[REQUANTIZE] < size_t(op.follows)) return;
    release_behind(STORE, op, transfer, std::max(transfer.own, requantized_at[op.follows - 1] + op.lag));
}

static void grant(int engine, int64_t cycle) {
    const Operation &op = queues[engine][asked[engine]++];
    Transfer transfer{};
    transfer.last = INT64_MAX;
    const std::vector<int64_t> places = op.places();
    const int64_t beats = (int64_t(places.size()) + LANES[engine] - 1) / LANES[engine];
    transfer.own = cycle + op.cycles;
    transfer.op = &op;
    transfer.first_beat = cycle;
    if (beats > op.cycles) { printf("operation %d: more beats than cycles\n", op.number); exit(2); }
    for (int64_t place : places) transfer.data.push_back(engine == STORE ? place : engine == VECTOR ? expected[place] : place < 0 ? op.padding : dram[place]);
    if (op.follows) release_at[engine] = port_free[op.port] = INT64_MAX;
    else release_behind(engine, op, transfer, transfer.own);
    if (engine != STORE) transfer.first_beat = transfer.own + op.latency - beats;
    under_way[engine].push_back(transfer);
    top.grant |= 1 << engine;
}

static void arbitrate(int64_t cycle) {
    for (int engine : {STORE, LOAD_ACTIVATIONS, LOAD_WEIGHTS, VECTOR}) {
        const bool asks = top.request >> engine & 1;
        if (!asks) ready_at[engine] = -1;
        else if (ready_at[engine] < 0) ready_at[engine] = cycle;
    }
    top.grant = 0;
    for (int port = 0; port < 3; port++) {
        int chosen = -1;
        for (int engine : {STORE, LOAD_ACTIVATIONS, LOAD_WEIGHTS}) {
            if (ready_at[engine] < 0 || queues[engine][asked[engine]].port != port || port_free[port] > cycle) continue;
            if (chosen < 0 || ready_at[engine] < ready_at[chosen]) chosen = engine;
        }
        if (chosen >= 0) grant(chosen, cycle), ready_at[chosen] = -1;
    }
    if (ready_at[VECTOR] >= 0) grant(VECTOR, cycle), ready_at[VECTOR] = -1;
}

static void drive(int64_t cycle) {
    top.release_port = 0, top.beat = 0, top.last = 0;
    for (int engine : {STORE, LOAD_ACTIVATIONS, LOAD_WEIGHTS, VECTOR}) {
        if (release_at[engine] == cycle) top.release_port |= 1 << engine;
        for (Transfer &transfer : under_way[engine]) {
            if (cycle >= transfer.first_beat && transfer.at < transfer.data.size()) {
                top.beat |= 1 << engine;
                for (int i = 0; engine != STORE && i < LANES[engine]; i++) {
                    const int64_t value = transfer.at < transfer.data.size() ? transfer.data[transfer.at++] : -1;
                    if (engine == LOAD_ACTIVATIONS) set_lane(top.activation_data, i, Config::ACTIVATION_WORD, value);
                    if (engine == LOAD_WEIGHTS) set_lane(top.weight_data, i, Config::WEIGHT_WORD, value);
                    if (engine == VECTOR) set_lane(top.vector_data, i, Config::OUTPUT_WORD, value);
                }
                break;
            }
        }
        for (const Transfer &transfer : under_way[engine])
            if (transfer.last == cycle) top.last += uint64_t(1) << 8 * engine;
    }
}

static void take_stores() {
    if (!(top.beat >> STORE & 1)) return;
    for (Transfer &transfer : under_way[STORE]) {
        if (transfer.at >= transfer.data.size()) continue;
        for (int i = 0; i < int(top.store_count) && transfer.at < transfer.data.size(); i++, transfer.at++) {
            const int64_t at = get_lane(top.store_position, i, 32);
            const int64_t place = transfer.data.at(at), code = get_lane(top.store_data, i, Config::OUTPUT_WORD);
            const Operation &op = queues[STORE][asked[STORE] - 1];
            dram[place] = code, stored[place] = 1, compared++;
            if (code != expected[place])
                differs(op, STORE, ("code " + std::to_string(at)).c_str(), expected[place], code);
        }
        return;
    }
}

// Elements that go into, or come out of, the memory of kept tensors in this cycle; of a tensor kept on chip this is all that is seen.
template <class Port> static void watch(int engine, int number, int count, const Port &data, int bits) {
    static std::vector<int64_t> places[ENGINES];
    static int of[ENGINES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    static size_t at[ENGINES];
    if (count == 0) return;
    if (of[engine] != number) of[engine] = number, places[engine] = queues[engine][number].places(), at[engine] = 0;
    for (int i = 0; i < count; i++, at[engine]++) {
        const int64_t place = places[engine].at(at[engine]), code = get_lane(data, i, bits);
        if (engine == KEEP) dram[place] = code, compared++;
        if (code != expected[place])
            differs(queues[engine][number], engine, ("code " + std::to_string(at[engine])).c_str(), expected[place], code);
    }
}

static void watch_kept() {
    watch(KEEP, top.keep_number, top.keep_count, top.keep_data, Config::OUTPUT_WORD);
    watch(RECALL, top.recall_number, top.recall_count, top.recall_data, Config::RESIDENT_WORD);
}

static void check_events(int64_t cycle) {
    for (int engine = 0; engine < ENGINES; engine++) {
        auto event = [&](bool happened, size_t *count, const char *what, int64_t Operation::*member, int64_t at) {
            if (!happened) return;
            if (*count >= queues[engine].size()) { printf("%s: one operation too many\n", NAMES[engine]); exit(1); }
            const Operation &op = queues[engine][(*count)++];
            if (op.*member != at) differs(op, engine, what, op.*member, at);
            if (engine == REQUANTIZE && member == &Operation::finish) requantized_at.push_back(at);
        };
        event(top.started >> engine & 1, &begun[engine], "the first cycle", &Operation::start, cycle);
        event(top.freed >> engine & 1, &freed[engine], "the cycle behind its last", &Operation::until, cycle + 1);
        for (int results = top.finished >> 8 * engine & 255; results > 0; results--)
            event(true, &finished[engine], "the cycle of the result", &Operation::finish, cycle + 1);
        for (int results = top.last >> 8 * engine & 255; results > 0; results--) under_way[engine].pop_front();
    }
}

// What the layers of the array made, as compare-vectors reads it.
static void write_results() {
    std::ifstream plan("bench/outputs.txt");
    std::string folder;
    int64_t base, count, digits, bits;
    while (plan >> folder >> base >> count >> digits >> bits) {
        std::filesystem::create_directories("results/" + folder);
        FILE *file = fopen(("results/" + folder + "/output.hex").c_str(), "w");
        if (!file) { printf("results/%s: cannot be written\n", folder.c_str()); exit(2); }
        for (int64_t i = base; i < base + count; i++)
            fprintf(file, "%0*" PRIx64 "\n", int(digits), uint64_t(dram[i]) & (bits < 64 ? (uint64_t(1) << bits) - 1 : ~uint64_t(0)));
        fclose(file);
    }
}

static void edge() {
    top.clk = 1, top.eval();
    top.clk = 0, top.eval();
}

int main() {
    read_plan();
    int64_t end = 0;
    size_t left = 0;
    for (int engine = 0; engine < ENGINES; engine++) {
        release_at[engine] = ready_at[engine] = -1;
        left += queues[engine].size();
        for (const Operation &op : queues[engine]) end = std::max(end, op.finish);
    }
    top.rst = 1;
    for (int i = 0; i < Config::RESET_CYCLES; i++) edge();
    top.rst = 0, top.eval();
    int64_t cycle = 0;
    for (size_t done = 0; done < left; cycle++) {
        top.eval();
        end_store();
        arbitrate(cycle);
        drive(cycle);
        top.eval();
        take_stores();
        watch_kept();
        check_events(cycle);
        edge();
        done = 0;
        for (int engine = 0; engine < ENGINES; engine++) done += finished[engine];
        if (cycle > 2 * end + 100000) {
            for (int engine = 0; engine < ENGINES; engine++)
                if (finished[engine] < queues[engine].size())
                    differs(queues[engine][finished[engine]], engine, "the end (it never comes)", queues[engine][finished[engine]].finish, cycle);
            break;
        }
    }
    write_results();
    printf("%zu operations in %" PRId64 " cycles, %" PRIu64 " codes stored: %" PRIu64 " differences\n", left, cycle, compared, different);
    return different != 0;
}
