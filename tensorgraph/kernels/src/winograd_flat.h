// Winograd's tiles in the lanes: a vector holds the same number of LANES neighbouring tiles. Lanes that hold channels would
// be empty where there are few, and every image would have to be turned into lanes and back.
//
// A channel of an image is dealt out to planes: plane (i, j) holds pixel i, j of all tiles, tile after tile, row after row,
// `pitch` places a row. So tiles are the places of one long vector. Pixels M, M + 1, ... of a tile's column are the first
// ones of the tile below, `pitch` places behind; those of its row are the first ones of the next tile: either one place
// behind (SHARED), so that a row needs places for tiles that there are not, or in planes of their own.
#pragma once

#include "lanes.h"
#include "winograd_transforms.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace flat {

template <class SCHEME>
struct Layout {
    using S = SCHEME;
    static constexpr int M = S::M, T = S::T, BEHIND = (T - 1) / M;  // so many tiles behind it a tile reaches
    static constexpr bool SHARED = M == 2;                          // as measured
    static constexpr int P = SHARED ? M : T;                        // planes for a row of a tile

    int64_t channels, rows, columns;  // rows and columns of tiles
    int64_t width, left;              // of the images, and the zeros before their rows

    // The zeros before a row serve the end of the one before, too.
    int64_t pitch = !SHARED ? columns
                            : smaller(columns + BEHIND, larger(ceil_div(left + width, M), columns + BEHIND - left / M));
    int64_t height = rows + BEHIND, tiles = (rows - 1) * pitch + columns, vectors = ceil_div(tiles, LANES);
    bool narrow = LANES > 8 && pitch <= 8;  // half a vector is a whole row
    // The padded image, whose rows are read as whole vectors of tiles; the planes, of which whole vectors are read.
    int64_t wide = ((narrow ? 8 : ceil_div(pitch, LANES) * LANES) + BEHIND) * M;
    int64_t padded = ceil_div(height * M * wide, 16) * 16;                    // in floats
    int64_t plane = (ceil_div(height * pitch, LANES) + 2) * LANES, planes = M * P * plane;
    // At the points of columns: [row of points][channel][plane][place], or [row of points][channel][vector][plane][lane].
    int64_t column_plane = SHARED ? (vectors + 2) * LANES : LANES;
    int64_t column_channel = SHARED ? P * column_plane : vectors * P * LANES;
    int64_t column_row = (ceil_div(channels * column_channel, 16) | 1) * 16;  // so rows fall into different sets of a cache
    static constexpr int64_t COLUMN_VECTOR = SHARED ? LANES : P * LANES;      // from a vector of tiles to the next
};

// `rows` rows of `width` floats.
inline void copy(const float* from, int64_t from_pitch, int64_t rows, int64_t width, float* to, int64_t to_pitch) {
    with_lanes(width, [=]<int L>() {
        const float* a = from;
        float* b = to;
        for (int64_t y = 0; y < rows; ++y, a += from_pitch, b += to_pitch) {
            int64_t i = 0;
            for (; i + L <= width; i += L) store_lanes<L>(b + i, load_lanes<L>(a + i));
            if (i < width) store_lanes<L>(b + width - L, load_lanes<L>(a + width - L));
        }
    });
}

// L tiles of a row of the padded image.
template <int L>
inline void deal(const float* row, float* to, int64_t plane, Numbers<2>) {
    const Floats<L> a = load_lanes<L>(row), b = load_lanes<L>(row + L);
    store_lanes<L>(to, evens<L>(a, b));
    store_lanes<L>(to + plane, odds<L>(a, b));
}
template <int L>
inline void deal(const float* row, float* to, int64_t plane, Numbers<4>) {
    const Floats<L> a = load_lanes<L>(row), b = load_lanes<L>(row + L);
    const Floats<L> c = load_lanes<L>(row + 2 * L), d = load_lanes<L>(row + 3 * L);
    const Floats<L> even_a = evens<L>(a, b), even_b = evens<L>(c, d), odd_a = odds<L>(a, b), odd_b = odds<L>(c, d);
    const Floats<L> first = evens<L>(even_a, even_b), second = evens<L>(odd_a, odd_b);
    store_lanes<L>(to, first);
    store_lanes<L>(to + plane, second);
    store_lanes<L>(to + 2 * plane, odds<L>(even_a, even_b));
    store_lanes<L>(to + 3 * plane, odds<L>(odd_a, odd_b));
    store_lanes<L>(to + 4 * plane, next<L>(first, Floats<L>{} + row[4 * L]));
    store_lanes<L>(to + 5 * plane, next<L>(second, Floats<L>{} + row[4 * L + 1]));
}

// A channel of an image to planes, by way of `room` for the padded one; both are zeros before the first image, of which
// those stay that no image is laid over. What a vector leaves behind a row is written over by the next one.
template <class Y>
void deal_image(const Y& y, const float* image, int64_t h, int64_t w, int64_t top, int64_t left, float* room, float* to) {
    constexpr int M = Y::M;
    const int64_t wide = y.wide, pitch = y.pitch, height = y.height, plane = y.plane;
    copy(image, w, smaller(h, height * M - top), smaller(w, (pitch + Y::BEHIND) * M - left), room + top * wide + left, wide);
    const auto deal_rows = [=]<int L>() {
        for (int64_t row = 0; row < height; ++row) {
            for (int i = 0; i < M; ++i) {
                const float* from = room + (row * M + i) * wide;
                float* at = to + i * Y::P * plane + row * pitch;
                for (int64_t x = 0; x < pitch; x += L) deal<L>(from + x * M, at + x, plane, Numbers<M>{});
            }
        }
    };
    if (y.narrow) return deal_rows.template operator()<(LANES < 8 ? LANES : 8)>();
    deal_rows.template operator()<LANES>();
}

// A channel's columns to their points.
template <class Y>
void columns_to_points(const Y& y, const float* planes, float* to) {
    constexpr int T = Y::T, M = Y::M;
    const int64_t row = y.column_row, vectors = y.vectors + (Y::SHARED ? 1 : 0);  // the last tile reaches behind
    for (int p = 0; p < Y::P; ++p) {
        const float* at[T];
        for (int i = 0; i < T; ++i) at[i] = planes + (i % M * Y::P + p) * y.plane + i / M * y.pitch;
        float* there = to + p * y.column_plane;
        for (int64_t v = 0; v < vectors; ++v, there += Y::COLUMN_VECTOR) {
            Vec in[T], out[T];
#pragma GCC unroll 8
            for (int i = 0; i < T; ++i) in[i] = in_register(load(at[i] + v * LANES));
            Y::S::Input::apply(in, out);
#pragma GCC unroll 8
            for (int i = 0; i < T; ++i) store(there + i * row, out[i]);
        }
    }
}

// V vectors of tiles from one row of points of columns: points[channel][point of the row][vector]
template <class Y, int V>
void row_to_points(const Y& y, const float* columns, float* points) {
    constexpr int T = Y::T;
    const int64_t plane = Y::SHARED ? y.column_plane : LANES, channels = y.channels, step = y.column_channel;
    for (int64_t c = 0; c < channels; ++c, columns += step, points += T * V * LANES) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            const float* from = columns + v * Y::COLUMN_VECTOR;
            Vec in[T], out[T];
#pragma GCC unroll 8
            for (int j = 0; j < T; ++j) in[j] = in_register(load(from + j % Y::P * plane + j / Y::P));
            Y::S::Input::apply(in, out);
#pragma GCC unroll 8
            for (int j = 0; j < T; ++j) store(points + (j * V + v) * LANES, out[j]);
        }
    }
}

}  // namespace flat
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
