// The direct convolution for few channels: lanes are pixels of a row, the weights of a few channels are broadcast. No lane
// is wasted on a channel that is not there, and nothing is spent on turning lanes into rows. For passes without stride.
//
// Rows may be short, so some images stand side by side: their rows are one long row. What is computed across the border
// of two images is dropped. The zeros between two images pad both of them.
#pragma once

#include "conv_rows.h"
#include "lanes.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

constexpr int TOGETHER = REGISTERS == 32 ? 8 : 4;  // channels whose sums the registers hold, for PIXEL_VECTORS each
constexpr int PIXEL_VECTORS = REGISTERS == 32 ? 3 : 2;
constexpr int64_t MOST_BESIDE = 8;  // images

// Images side by side: pixel j of image i is found at left + i * pitch + j in a row.
struct Beside {
    int64_t images, pitch, left, wide;
    int64_t pixels;  // of an image that the pass computes
    bool in_place;   // a single image, whose results need not be put elsewhere first

    int64_t vectors(int64_t count) const { return ceil_div((count - 1) * pitch + pixels, LANES); }

    // What a pixel costs, about: products, and to copy it.
    double cost(int64_t taps) const {
        const double lanes = static_cast<double>(vectors(images) * LANES) / static_cast<double>(images * pixels);
        return 1.1 * lanes * static_cast<double>(taps) + (in_place ? 2 : 8);
    }
};

// The best number of images up to `most`. Pixels see what is from `left` before to `reach` behind them.
inline Beside find_beside(int64_t most, int64_t width, int64_t pixels, int64_t left, int64_t reach, int64_t taps) {
    Beside best{};
    for (int64_t n = 1; n <= smaller(most, MOST_BESIDE); ++n) {
        Beside beside{n, larger(pixels, width + larger(left, pixels + reach - width)), left, 0, pixels, false};
        beside.in_place = n == 1 && pixels >= LANES && taps <= CHUNK;
        beside.wide = left + larger(n * beside.pitch, beside.in_place ? 0 : beside.vectors(n) * LANES + reach);
        if (n == 1 || beside.cost(taps) < best.cost(taps)) best = beside;
    }
    return best;
}

inline void copy_row(const float* from, int64_t count, float* to) {
    with_lanes(count, [&]<int L>() {
        cover<L>(0, count, [&](int64_t i) { store_lanes<L>(to + i, load_lanes<L>(from + i)); });
    });
}

// room[row][image][column], for `rows` rows of `width` pixels of each image.
inline void put_beside(const Beside& beside, const float* images, int64_t stride, int64_t count, int64_t rows, int64_t width,
                       float* room) {
    __builtin_memset(room, 0, static_cast<size_t>(rows * beside.wide) * sizeof(float));
    for (int64_t i = 0; i < count; ++i) {
        const float* from = images + i * stride;
        float* to = room + beside.left + i * beside.pitch;
        for (int64_t row = 0; row < rows; ++row) copy_row(from + row * width, width, to + row * beside.wide);
    }
}

// Some taps of some pixels, for CHANNELS neighbours: weights[tap][channel].
struct Taps {
    const float* source;
    const int64_t* offset;
    const float* weights;
    int64_t count;
    const float* bias;  // nullptr: none
    Activation act;
    bool add;  // to the sums of the taps before
};

// out[channel][at[v] ..] (+)= the taps of the pixels at[v] .. at[v] + LANES - 1.
template <int CHANNELS, int VECTORS>
void pixel_tile(const Taps& t, const int64_t* at, float* out, int64_t stride) {
    const float *source = t.source, *weights = t.weights;
    const int64_t *offset = t.offset, *const end = offset + t.count;
    int64_t place[VECTORS];
    for (int v = 0; v < VECTORS; ++v) place[v] = at[v];
    Vec acc[CHANNELS][VECTORS];
#pragma GCC unroll 8
    for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; ++v) acc[c][v] = broadcast(t.bias == nullptr ? 0.0f : t.bias[c]);
    }
    for (; offset < end; ++offset, weights += CHANNELS) {
        Vec x[VECTORS];
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; ++v) x[v] = load(source + *offset + place[v]);
#pragma GCC unroll 8
        for (int c = 0; c < CHANNELS; ++c) {
            const Vec weight = broadcast(weights[c]);
#pragma GCC unroll 3
            for (int v = 0; v < VECTORS; ++v) acc[c][v] += weight * x[v];
        }
    }
    if (t.add) {
#pragma GCC unroll 8
        for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
            for (int v = 0; v < VECTORS; ++v) acc[c][v] += load(out + c * stride + place[v]);
        }
    }
    if (t.act == RELU) {
#pragma GCC unroll 8
        for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
            for (int v = 0; v < VECTORS; ++v) acc[c][v] = relu(acc[c][v]);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < CHANNELS; ++c) {
#pragma GCC unroll 3
        for (int v = 0; v < VECTORS; ++v) store(out + c * stride + place[v], acc[c][v]);
    }
}

using PixelTile = void (*)(const Taps&, const int64_t*, float*, int64_t);

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

// All rows of `count` images, for `channels` neighbours, at most TOGETHER. `out` is the first image's, the others are
// `stride` apart; `sums` has room for [channels][wide].
inline void run_pixels(const Pass& p, const Beside& beside, int64_t count, const float* source, const float* weights,
                       int64_t channels, const float* bias, Activation act, float* sums, float* out, int64_t stride) {
    const int64_t per_row = p.channels * p.column_taps, vectors = beside.vectors(count), plane = p.rows * p.pixels;
    const int64_t to_stride = beside.in_place ? plane : beside.wide;
    const int64_t last_at = beside.in_place ? p.pixels - LANES : beside.wide;  // the last vector may overlap
    for (int64_t q = 0; q < p.rows; ++q) {
        int64_t t0, t1;
        inner_taps(p, q, t0, t1);
        const int64_t begin = t0 * per_row, end = t1 * per_row;
        float* const to = beside.in_place ? out + q * p.pixels : sums;
        for (int64_t k = begin; k == begin || k < end; k += CHUNK) {
            const bool last = k + CHUNK >= end;
            const Taps taps{source + q * p.row_step * p.width, p.offset + k, weights + k * channels,
                            smaller(CHUNK, end - k), k > begin ? nullptr : bias, last ? act : NONE,
                            k > begin};
            for (int64_t v = 0; v < vectors; v += PIXEL_VECTORS) {
                int64_t at[PIXEL_VECTORS];
                for (int i = 0; i < PIXEL_VECTORS; ++i) at[i] = smaller((v + i) * LANES, last_at);
                find_pixel_tile(channels, smaller(PIXEL_VECTORS, vectors - v))(taps, at, to, to_stride);
            }
        }
        for (int64_t i = 0; !beside.in_place && i < count; ++i) {
            for (int64_t c = 0; c < channels; ++c) {
                copy_row(sums + c * beside.wide + i * beside.pitch, p.pixels, out + i * stride + c * plane + q * p.pixels);
            }
        }
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
