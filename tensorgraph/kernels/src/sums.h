// Long sums: of vectors in floats, of a few hundred of those at a time in double.
#pragma once

#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// The first `count` lanes, those of `rest` behind them.
inline Vec load_with(const float* p, int count, Vec rest) {
    if (count == LANES) return load(p);
    for (int i = 0; i < count; ++i) rest[i] = p[i];
    return rest;
}

// Only the first `count` lanes.
inline void save(float* p, Vec v, int count) {
    if (count == LANES) return store(p, v);
    store_part(p, v, count);
}

class LongSum {
  public:
    void add(int chain, Vec v) { chains_[chain] += v; }

    // To be called now and then, with how many vectors came since.
    void settle(int64_t vectors) {
        waiting_ += vectors;
        if (waiting_ >= 512) flush();
    }

    double total() {
        flush();
        return total_;
    }

  private:
    void flush() {
        total_ += sum((chains_[0] + chains_[1]) + (chains_[2] + chains_[3]));
        for (Vec& chain : chains_) chain = Vec{};
        waiting_ = 0;
    }

    Vec chains_[4] = {};  // four, so that no addition waits for the one before
    double total_ = 0;
    int64_t waiting_ = 0;
};

// Calls piece(i, count, chain) for a row of n elements, a vector at a time.
template <class F>
inline void along(int64_t n, F&& piece) {
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        piece(i, LANES, 0);
        piece(i + LANES, LANES, 1);
        piece(i + 2 * LANES, LANES, 2);
        piece(i + 3 * LANES, LANES, 3);
    }
    for (; i + LANES <= n; i += LANES) piece(i, LANES, 0);
    if (i < n) piece(i, static_cast<int>(n - i), 1);
}

// The same in parts of at most 512 vectors, with f(count of vectors) after each: where a sum settles.
template <class F, class G>
inline void along_in_parts(int64_t n, F&& piece, G&& after) {
    constexpr int64_t PART = 512 * LANES;
    for (int64_t start = 0; start < n; start += PART) {
        const int64_t size = smaller(PART, n - start);
        along(size, [&](int64_t i, int count, int chain) { piece(start + i, count, chain); });
        after(ceil_div(size, LANES));
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
