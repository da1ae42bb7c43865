// Filters at their points: filters[point][block of BLOCK outputs][channel][output of the block].
//
// `Outputs` are what the lanes hold: the filters themselves, or for the input gradient the channels, with every filter
// rotated by half a turn.
#pragma once

#include "pool.h"
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
void channel_lanes(const float* w, int64_t c, int64_t filter, int64_t c0, float* taps) {
    constexpr int COUNT = S::R * S::R, COLUMNS = (COUNT + LANES - 1) / LANES * LANES;
    float copy[LANES * COUNT + COLUMNS] = {};  // so that whole vectors can be read
    const int64_t lanes = smaller(LANES, c - c0);
    __builtin_memcpy(copy, w + (filter * c + c0) * COUNT, lanes * COUNT * sizeof(float));
    spread(copy, COUNT, lanes, COLUMNS, {taps, COLUMNS, COLUMNS});
}

template <class S>
void filters_to_points(const float* w, int64_t f, int64_t c, bool rotated, float* filters, int64_t stride) {
    constexpr int TAPS = S::R * S::R;
    constexpr int64_t CHUNK = 16;  // channels at a time
    const int64_t outputs = rotated ? c : f, channels = rotated ? f : c, chunks = ceil_div(channels, CHUNK);
    parallel_ranges(ceil_div(outputs, LANES) * chunks, 4, [=](int64_t begin, int64_t end) {
        alignas(64) float taps[(CHUNK * TAPS + LANES) * LANES];
        for (int64_t item = begin; item < end; ++item) {
            const int64_t first = item / chunks * LANES, k0 = item % chunks * CHUNK, k1 = smaller(channels, k0 + CHUNK);
            if (!rotated) filter_lanes<S>(w, f, c, first, k0, k1 - k0, taps);
            const int64_t width = block_width(outputs, first / BLOCK);
            float* to = filters + first / BLOCK * BLOCK * channels + first % BLOCK + k0 * width;
            for (int64_t k = k0; k < k1; ++k, to += width) {
                if (rotated) channel_lanes<S>(w, c, k, first, taps);
                const float* at = rotated ? taps + (TAPS - 1) * LANES : taps + (k - k0) * TAPS * LANES;
                const int64_t step = rotated ? -LANES : LANES;
                transform<typename S::Weight>([&](int i, int j) { return load(at + (i * S::R + j) * step); },
                                              [&](int i, int j, Vec v) { store(to + (i * S::T + j) * stride, v); });
            }
        }
    });
}

}  // namespace winograd
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
