// One pass of a direct convolution, the fused im2col: lanes are output channels, pixels are broadcast. No column matrix:
// tap k of a pixel is found at a fixed distance offset[k] from the pixel's own place.
//
// A pass computes rows of pixels. Pixel j of row q adds, over row taps t, channels c and column taps s,
//
//     weights[block][k(t, c, s)][lane] * source[c][q * row_step + row[t]][j * step + column[s]]
//
// to sums[(q * row_pitch + j * pitch)][lane]. Row taps that fall outside the image are left out: taps of one t are
// neighbours in k, and row[] rises or falls, so what is inside is one range of k.
#pragma once

#include <utility>

#include "conv.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

constexpr int PIXELS = REGISTERS == 32 ? 14 : 6;  // of a tile: as many as two vectors each fit the registers
constexpr int64_t CHUNK = 288;                    // taps that are summed in one go; short sums are exact ones

struct Pass {
    int64_t height, width;      // of the source's planes
    int64_t channels;
    int64_t row_taps, column_taps;
    const int64_t* row;         // [row_taps]
    const int64_t* offset;      // of tap k from the pixel: row[t] * width + c * plane + column[s]
    int64_t rows, row_step, row_pitch;
    int64_t pixels, step, pitch;
};

// sums[i * pitch][.] (+)= the taps begin .. end-1 of COUNT pixels.
template <int COUNT, int VECTORS, int STEP>
inline void tile(const float* source, const int64_t* offset, const float* weights, int64_t taps, int64_t any_step,
                 float* sums, int64_t pitch, bool add) {
    const int64_t step = STEP > 0 ? STEP : any_step;
    Vec acc[COUNT][VECTORS] = {};
    for (int64_t k = 0; k < taps; ++k, weights += VECTORS * LANES) {
        Vec w[VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; ++v) w[v] = load(weights + v * LANES);
        const float* x = source + offset[k];
#pragma GCC unroll 14
        for (int i = 0; i < COUNT; ++i) {
            const Vec pixel = broadcast(x[i * step]);
#pragma GCC unroll 2
            for (int v = 0; v < VECTORS; ++v) acc[i][v] += pixel * w[v];
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < COUNT; ++i) {
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; ++v) {
            float* to = sums + i * pitch * VECTORS * LANES + v * LANES;
            store(to, add ? load(to) + acc[i][v] : acc[i][v]);
        }
    }
}

using Tile = void (*)(const float*, const int64_t*, const float*, int64_t, int64_t, float*, int64_t, bool);

template <int VECTORS, int STEP, int... I>
inline Tile tile_of(int64_t count, std::integer_sequence<int, I...>) {
    static constexpr Tile tiles[] = {tile<I + 1, VECTORS, STEP>...};
    return tiles[count - 1];
}

template <int VECTORS>
inline Tile find_tile(int64_t count, int64_t step) {
    using Counts = std::make_integer_sequence<int, PIXELS>;
    if (step == 1) return tile_of<VECTORS, 1>(count, Counts{});
    if (step == 2) return tile_of<VECTORS, 2>(count, Counts{});
    if (step == 4) return tile_of<VECTORS, 4>(count, Counts{});
    return tile_of<VECTORS, 0>(count, Counts{});
}

// The row taps t0 .. t1-1 of row q see rows inside the image.
inline void inner_taps(const Pass& p, int64_t q, int64_t& t0, int64_t& t1) {
    const auto outside = [&](int64_t t) { return q * p.row_step + p.row[t] < 0 || q * p.row_step + p.row[t] >= p.height; };
    t0 = 0;
    t1 = p.row_taps;
    while (t0 < t1 && outside(t0)) ++t0;
    while (t0 < t1 && outside(t1 - 1)) --t1;
}

// The pixels j0 .. j1-1 of the rows q0 .. q1-1.
struct Area {
    int64_t q0, q1, j0, j1;
};

// Adds the taps first .. last-1 of the pass for one block of VECTORS * LANES channels, to sums[0] for the area's first
// pixel. With first = 0 every sum is written, zeros where there are no taps.
template <int VECTORS>
void run_chunk(const Pass& p, const Area& area, const float* source, const float* weights, float* sums, int64_t first,
               int64_t last) {
    const int64_t lanes = VECTORS * LANES;
    const int64_t per_row = p.channels * p.column_taps;  // taps of one t
    const int64_t pixels = area.j1 - area.j0, tiles = ceil_div(pixels, PIXELS);
    for (int64_t q = area.q0; q < area.q1; ++q) {
        int64_t t0, t1;
        inner_taps(p, q, t0, t1);
        const int64_t begin = larger(first, t0 * per_row), end = larger(begin, smaller(last, t1 * per_row));
        if (begin == end && first > 0) continue;
        for (int64_t i = 0; i < tiles; ++i) {  // nearly equal tiles: 27 pixels are 14 + 13
            const int64_t j = pixels * i / tiles, count = pixels * (i + 1) / tiles - j;
            find_tile<VECTORS>(count, p.step)(source + q * p.row_step * p.width + (area.j0 + j) * p.step,
                                              p.offset + begin, weights + begin * lanes, end - begin, p.step,
                                              sums + ((q - area.q0) * p.row_pitch + j * p.pitch) * lanes, p.pitch,
                                              first > 0);
        }
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
