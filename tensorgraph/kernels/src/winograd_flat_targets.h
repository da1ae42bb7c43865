// Where the outputs of Winograd's tiles go that are in the lanes: take() gets those of a vector of tiles for one map, and
// what place() has found for the vector, expect() the same some time before; finish() is called at the end of an image.
#pragma once

#include "best.h"
#include "conv_planes.h"
#include "winograd_flat.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace flat {

// LANES tiles' pixels of a row, in the order of the pixels.
inline void in_order(const Vec (&y)[2], Vec (&to)[2]) {
    to[0] = zip_first<LANES>(y[0], y[1]);
    to[1] = zip_second<LANES>(y[0], y[1]);
}
inline void in_order(const Vec (&y)[4], Vec (&to)[4]) {
    const Vec even_a = zip_first<LANES>(y[0], y[2]), odd_a = zip_first<LANES>(y[1], y[3]);
    const Vec even_b = zip_second<LANES>(y[0], y[2]), odd_b = zip_second<LANES>(y[1], y[3]);
    to[0] = zip_first<LANES>(even_a, odd_a);
    to[1] = zip_second<LANES>(even_a, odd_a);
    to[2] = zip_first<LANES>(even_b, odd_b);
    to[3] = zip_second<LANES>(even_b, odd_b);
}

template <int M>
inline void activate(bool with_relu, Vec (&tile)[M][M]) {
    if (!with_relu) return;
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < M; ++j) tile[i][j] = relu(tile[i][j]);
    }
}

// To maps, by way of `room`, where rows have the places that are no tiles.
template <class Y>
struct ToMaps {
    static constexpr int M = Y::M;
    const Y& y;
    float *room, *maps;
    int64_t outputs, oh, ow;
    bool with_relu;
    int64_t row = row_of(y);  // floats in `room`, of one of the M rows of all tiles

    static int64_t row_of(const Y& y) { return y.vectors * M * LANES + 16; }

    using Place = int64_t;
    Place place(int64_t vector) const { return vector * M * LANES; }
    void expect(int64_t f, Place place) const {
        const int64_t size = oh * ow, vector = place / (M * LANES), end = size * (vector + 1) / y.vectors;
        for (int64_t i = size * vector / y.vectors; i < end; i += 16) expect_write(maps + f * size + i);
    }
    void take(int64_t f, Place place, Vec (&tile)[M][M]) const {
        activate(with_relu, tile);
        float* to = room + f * M * row + place;
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) {
            Vec pixels[M];
            in_order(tile[i], pixels);
#pragma GCC unroll 4
            for (int j = 0; j < M; ++j) store(to + i * row + j * LANES, pixels[j]);
        }
    }
    void finish() const {
        for (int64_t f = 0; f < outputs; ++f) {
            for (int i = 0; i < smaller(M, oh); ++i) {
                copy(room + (f * M + i) * row, y.pitch * M, ceil_div(oh - i, M), ow, maps + (f * oh + i) * ow, M * ow);
            }
        }
    }
};

// Straight to maps whose rows are whole tiles and whole vectors, where all places are tiles.
template <class Y>
struct ToWholeMaps {
    static constexpr int M = Y::M;
    float* maps;
    int64_t size, ow;
    bool with_relu;

    static bool fit(const Y& y, int64_t oh, int64_t ow) {
        return y.pitch * M == ow && ow % LANES == 0 && y.rows * M == oh;
    }
    struct Place {
        int64_t at[M];
    };
    Place place(int64_t vector) const {
        Place place;
        for (int j = 0; j < M; ++j) {
            const int64_t pixel = (vector * M + j) * LANES;
            place.at[j] = pixel / ow * M * ow + pixel % ow;
        }
        return place;
    }
    void expect(int64_t f, const Place& place) const {
        for (int j = 0; j < M; ++j) {
            for (int i = 0; i < M; ++i) expect_write(maps + f * size + smaller(place.at[j] + i * ow, size - 1));
        }
    }
    void take(int64_t f, const Place& place, Vec (&tile)[M][M]) const {
        activate(with_relu, tile);
        float* const map = maps + f * size;
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) {
            Vec pixels[M];
            in_order(tile[i], pixels);
#pragma GCC unroll 4
            for (int j = 0; j < M; ++j) {
                if (place.at[j] < size) store(map + place.at[j] + i * ow, pixels[j]);
            }
        }
    }
    void finish() const {}
};

// Nothing but the maxima of tiles of 2x2, and who they are.
template <class Y>
struct ToSquares {
    const Y& y;
    float* room;
    uint8_t* numbers;
    float* out;
    uint8_t* winners;
    int64_t outputs, oh, ow;
    float slope;

    using Place = int64_t;
    Place place(int64_t vector) const { return vector * LANES; }
    void expect(int64_t, Place) const {}
    void take(int64_t f, Place place, Vec (&tile)[2][2]) const {
        Best<LANES> best{tile[0][0], {}};
        best.meet(tile[0][1], 1);
        best.meet(tile[1][0], 2);
        best.meet(tile[1][1], 3);
        best.leak(slope, 4);
        const int64_t at = f * y.vectors * LANES + place;
        store(room + at, best.value);
        store_bytes<LANES>(numbers + at, best.tap);
    }
    void finish() const {
        for (int64_t f = 0; f < outputs; ++f) {
            close_rows(room + f * y.vectors * LANES, oh, ow, y.pitch, out + f * oh * ow);
            close_rows(numbers + f * y.vectors * LANES, oh, ow, y.pitch, winners + f * oh * ow);
        }
    }
};

}  // namespace flat
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
