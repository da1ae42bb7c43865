// Filters at their points, in blocks of outputs. `Outputs` are what the lanes hold: the filters themselves, or for the
// input gradient the channels, with every filter rotated by half a turn.
#pragma once

#include "winograd_lanes.h"
#include "winograd_tiles.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

constexpr int BLOCK = 2 * LANES;  // outputs that one product computes; the last block has one vector if that is enough

inline int64_t padded(int64_t n) { return ceil_div(n, LANES) * LANES; }
inline int64_t block_width(int64_t outputs, int64_t block) { return smaller(BLOCK, padded(outputs) - block * BLOCK); }

// Some channels of the filters w[F][C][R][R] as lanes of filters: taps[channel][tap][filter f0 ..].
template <class S>
void filter_lanes(const float* w, int64_t f, int64_t c, int64_t f0, int64_t c0, int64_t channels, float* taps) {
    const int64_t count = channels * S::R * S::R;
    spread(w + (f0 * c + c0) * S::R * S::R, c * S::R * S::R, smaller(LANES, f - f0), count, {taps, count, count});
}

// One filter's channels as lanes: taps[tap][channel c0 ..].
template <class S>
void channel_lanes(const float* w, int64_t f, int64_t c, int64_t filter, int64_t c0, float* taps) {
    constexpr int64_t COUNT = S::R * S::R, COLUMNS = (COUNT + LANES - 1) / LANES * LANES;  // read as whole vectors
    const int64_t first = filter * c + c0, lanes = smaller(LANES, c - c0);
    for (int64_t i = 0; i < lanes * COUNT; i += 16) __builtin_prefetch(w + (first + 4 * c) * COUNT + i);  // pages apart
    if ((first + lanes - 1) * COUNT + COLUMNS <= f * c * COUNT) {
        spread(w + first * COUNT, COUNT, lanes, COLUMNS, {taps, COLUMNS, COLUMNS});
        return;
    }
    float copy[LANES * COUNT + COLUMNS] = {};
    __builtin_memcpy(copy, w + first * COUNT, lanes * COUNT * sizeof(float));
    spread(copy, COUNT, lanes, COLUMNS, {taps, COLUMNS, COLUMNS});
}

// Filters w[F][C][R][R] as the products see them: rows of `outputs` for every channel that is summed over.
struct Filters {
    const float* w;
    int64_t f, c;
    bool rotated;

    int64_t outputs() const { return rotated ? c : f; }
    int64_t channels() const { return rotated ? f : c; }
    int64_t blocks() const { return ceil_div(outputs(), BLOCK); }
};

// The channels k0 .. k1-1 of one block: to[point][channel][output].
template <class S>
void filters_to_points(const Filters& filters, int64_t block, int64_t k0, int64_t k1, float* to, int64_t stride) {
    constexpr int64_t TAPS = S::R * S::R, CHUNK = 16;  // channels at a time
    const int64_t width = block_width(filters.outputs(), block), step = filters.rotated ? -LANES : LANES;
    alignas(64) float taps[(CHUNK * TAPS + LANES) * LANES];
    for (int64_t first = k0; first < k1; first += CHUNK) {
        const int64_t last = smaller(k1, first + CHUNK);
        for (int64_t v = 0; v < width; v += LANES) {
            const int64_t output = block * BLOCK + v;
            if (!filters.rotated) filter_lanes<S>(filters.w, filters.f, filters.c, output, first, last - first, taps);
            for (int64_t k = first; k < last; ++k) {
                if (filters.rotated) channel_lanes<S>(filters.w, filters.f, filters.c, k, output, taps);
                const float* at = filters.rotated ? taps + (TAPS - 1) * LANES : taps + (k - first) * TAPS * LANES;
                float* row = to + (k - k0) * width + v;
                transform<typename S::Weight>([&](int i, int j) { return load(at + (i * S::R + j) * step); },
                                              [&](int i, int j, Vec t) { store(row + (i * S::T + j) * stride, t); });
            }
        }
    }
}

}  // namespace winograd
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
