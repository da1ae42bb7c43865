// The direct convolution for few channels: lanes are pixels of a row, the weights of a few channels are broadcast, and
// results go straight to where they belong. No lane is wasted on a channel that is not there, and with few taps nothing is
// spent on turning lanes into rows. For passes without stride. A row shorter
// than a vector is read beyond its end: the planes must have room there.
#pragma once

#include "conv_rows.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

constexpr int TOGETHER = REGISTERS == 32 ? 8 : 4;  // channels whose sums the registers hold, for PIXEL_VECTORS each
constexpr int PIXEL_VECTORS = REGISTERS == 32 ? 3 : 2;

// The first `count` pixels of each vector are stored. `weights` is [tap][CHANNELS]; the row's pixels begin at `source` and `out`, channels are `plane` apart.
template <int CHANNELS, int VECTORS>
void pixel_tile(const float* source, const int64_t* offset, const float* weights, int64_t taps, const int64_t* at,
                const float* bias, Activation act, float* out, int64_t plane, int count) {
    Vec acc[CHANNELS][VECTORS];
#pragma GCC unroll 8
    for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; ++v) acc[c][v] = broadcast(bias == nullptr ? 0.0f : bias[c]);
    }
    for (int64_t k = 0; k < taps; ++k, weights += CHANNELS) {
        Vec x[VECTORS];
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; ++v) x[v] = load(source + offset[k] + at[v]);
#pragma GCC unroll 8
        for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
            for (int v = 0; v < VECTORS; ++v) acc[c][v] += broadcast(weights[c]) * x[v];
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; ++v) {
            const Vec values = act == RELU ? relu(acc[c][v]) : acc[c][v];
            float* to = out + c * plane + at[v];
            count == LANES ? store(to, values) : store_part(to, values, count);
        }
    }
}

using PixelTile = void (*)(const float*, const int64_t*, const float*, int64_t, const int64_t*, const float*, Activation,
                           float*, int64_t, int);

template <int VECTORS, int... I>
inline PixelTile with_channels(int64_t channels, std::integer_sequence<int, I...>) {
    static constexpr PixelTile tiles[] = {pixel_tile<I + 1, VECTORS>...};
    return tiles[channels - 1];
}

inline PixelTile find_pixel_tile(int64_t channels, int64_t vectors) {
    using Counts = std::make_integer_sequence<int, TOGETHER>;
    if (vectors == 1) return with_channels<1>(channels, Counts{});
    if (vectors == 2) return with_channels<2>(channels, Counts{});
    return with_channels<PIXEL_VECTORS>(channels, Counts{});
}

// All rows of one image, for `channels` neighbours, at most TOGETHER.
inline void run_pixels(const Pass& p, const float* source, const float* weights, int64_t channels, const float* bias,
                       Activation act, float* out) {
    const int64_t per_row = p.channels * p.column_taps, plane = p.rows * p.pixels;
    for (int64_t q = 0; q < p.rows; ++q) {
        int64_t t0, t1;
        inner_taps(p, q, t0, t1);
        for (int64_t j = 0; j < p.pixels; j += PIXEL_VECTORS * LANES) {
            const int64_t vectors = smaller(PIXEL_VECTORS, ceil_div(p.pixels - j, LANES));
            int64_t at[PIXEL_VECTORS] = {};
            for (int64_t v = 0; v < vectors; ++v) at[v] = larger(0, smaller(j + v * LANES, p.pixels - LANES));  // overlaps
            // Of a row that is shorter than a vector the rest is junk: the next row will be written over it.
            const int64_t count = q + 1 < p.rows ? LANES : smaller(LANES, p.pixels);
            find_pixel_tile(channels, vectors)(source + q * p.row_step * p.width, p.offset + t0 * per_row,
                                               weights + t0 * per_row * channels, (t1 - t0) * per_row, at, bias, act,
                                               out + q * p.pixels, plane, static_cast<int>(count));
        }
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
