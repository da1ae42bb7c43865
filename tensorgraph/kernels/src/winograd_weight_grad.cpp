// The weight gradient: images and upstream gradients to points, a product over the tiles for every point, and the sums
// over all tiles back to filters:
//
//     dW = Weight^T [the sum over tiles of (Input x) * (Output^T g)]
#include "buffers.h"
#include "winograd.h"
#include "winograd_filters.h"
#include "winograd_tiles.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

constexpr int ROWS = REGISTERS == 32 && LANES >= 8 ? 8 : 4;  // channels that one product computes
constexpr int64_t CHAIN_TILES = 256;                         // tiles that are added one after the other
constexpr int64_t GROUP_FLOATS = 512 << 10;                  // points of a group of tiles

// sums[channel][filter] = or += the sum over tiles of x[tile][channel] * g[vector][tile][lane]
template <int VECTORS>
void accumulate(int64_t tiles, const float* x, const float* g, int64_t block_stride, float* sums, bool add) {
    Vec total[ROWS][VECTORS] = {};
    for (int64_t t = 0; t < tiles; ++t) {
        Vec upstream[VECTORS];
        for (int j = 0; j < VECTORS; ++j) upstream[j] = load(g + j * block_stride + t * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; ++i) {
            const Vec seen = broadcast(x[t * LANES + i]);
            for (int j = 0; j < VECTORS; ++j) total[i][j] += seen * upstream[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
        for (int j = 0; j < VECTORS; ++j) {
            float* at = sums + (i * VECTORS + j) * LANES;
            store(at, add ? load(at) + total[i][j] : total[i][j]);
        }
    }
}

// All points of ROWS channels and a block of filters: sums[point][channel][filter].
template <class S, int VECTORS>
void accumulate_points(int64_t tiles, const float* x, const float* g, int64_t block_stride, int64_t x_stride,
                       int64_t g_stride, float* sums, bool add) {
    for (int64_t point = 0; point < S::T * S::T; ++point, sums += ROWS * VECTORS * LANES) {
        for (int64_t t = 0; t < tiles; t += CHAIN_TILES) {
            accumulate<VECTORS>(smaller(CHAIN_TILES, tiles - t), x + point * x_stride + t * LANES,
                                g + point * g_stride + t * LANES, block_stride, sums, add || t > 0);
        }
    }
}

// The channels c0 .. and filters f0 .. of out[F][C][R][R], of sums[point][channel][width].
template <class S>
void to_filters(const float* sums, int64_t width, int64_t f, int64_t c, int64_t f0, int64_t c0, float* out) {
    constexpr int TAPS = S::R * S::R;
    const int64_t channels = smaller(ROWS, c - c0), count = channels * TAPS;
    alignas(64) float taps[ROWS * TAPS * LANES];
    for (int64_t v = 0; v < width && f0 + v < f; v += LANES) {
        for (int64_t i = 0; i < channels; ++i) {
            const float* from = sums + i * width + v;
            float* to = taps + i * TAPS * LANES;
            transform<typename S::WeightGrad>([&](int p, int q) { return load(from + (p * S::T + q) * ROWS * width); },
                                              [&](int p, int q, Vec y) { store(to + (p * S::R + q) * LANES, y); });
        }
        collect({taps, count, count}, count, out + ((f0 + v) * c + c0) * TAPS, c * TAPS, smaller(LANES, f - f0 - v));
    }
}

template <class S>
void weight_grad_by(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad) {
    constexpr int64_t POINTS = S::T * S::T;
    const Images image{x, conv.c, conv.h, conv.w, conv.top, conv.left}, upstream{g, conv.f, conv.oh, conv.ow, 0, 0};
    const Tiles tiles = Tiles::of<S>(conv.n, conv.oh, conv.ow);
    const int64_t threads = num_threads(), all = tiles.all_rows(), columns = tiles.columns;
    const int64_t c_blocks = image.blocks(), f_blocks = upstream.blocks();
    if (all == 0 || columns == 0 || f_blocks == 0) {
        for (int64_t i = 0; i < conv.f * conv.c * S::R * S::R; ++i) out[i] = 0;
        for (int64_t i = 0; bias_grad != nullptr && i < conv.f; ++i) bias_grad[i] = 0;
        return;
    }
    // Groups do not depend on the number of threads, and each sum belongs to one thread: nor does the result.
    const int64_t wanted = GROUP_FLOATS / (POINTS * (c_blocks + f_blocks) * LANES);
    const int64_t rows = group_rows(tiles, smaller(CHAIN_TILES, larger(64, wanted)), 1);
    const int64_t piece = larger(1, smaller(rows, 32 / columns)), tile_stride = rows * columns * LANES;
    const int64_t x_stride = point_stride(tile_stride * c_blocks), g_stride = point_stride(tile_stride * f_blocks);
    const int64_t plane = larger(Plane::of(image, piece, columns, S::M, S::T).floats(),
                                 Plane::of(upstream, piece, columns, S::M, S::M).floats());
    const int64_t strips = ceil_div(conv.c, ROWS), items = strips * ceil_div(conv.f, BLOCK);
    const int64_t item_floats = POINTS * ROWS * BLOCK, sums_floats = f_blocks * rows * LANES;

    const Scratch planes(threads * plane), points(POINTS * (x_stride + g_stride)), totals(items * item_floats);
    const Scratch pixel_sums(sums_floats + f_blocks * LANES);
    float* const x_points = points.floats();
    float* const g_points = x_points + POINTS * x_stride;
    float* const bias = pixel_sums.floats() + sums_floats;
    for (int64_t i = 0; i < f_blocks * LANES; ++i) bias[i] = 0;

    for (int64_t origin = 0; origin < all; origin += rows) {
        const int64_t end = smaller(all, origin + rows), pieces = ceil_div(end - origin, piece);
        share(pieces * (c_blocks + f_blocks), threads, [&](int64_t item, int thread) {
            const int64_t block = item / pieces, first = origin + item % pieces * piece;
            const int64_t last = smaller(end, first + piece), at = (first - origin) * columns * LANES;
            float* const mine = planes.floats() + thread * plane;
            if (block < c_blocks) {
                to_points<typename S::Input, S::M>(image, tiles, first, last, block, mine,
                                                   x_points + block * tile_stride + at, x_stride);
            } else {
                const int64_t f_block = block - c_blocks;
                float* const sums = pixel_sums.floats() + (f_block * rows + first - origin) * LANES;
                to_points<typename S::OutputGrad, S::M>(upstream, tiles, first, last, f_block, mine,
                                                        g_points + f_block * tile_stride + at, g_stride, sums);
            }
        });
        for (int64_t block = 0; block < f_blocks; ++block) {
            Vec sum{};
            for (int64_t row = 0; row < end - origin; ++row) sum += load(pixel_sums.floats() + (block * rows + row) * LANES);
            store(bias + block * LANES, load(bias + block * LANES) + sum);
        }
        share(items, threads, [&](int64_t item, int) {
            const int64_t c0 = item % strips * ROWS, f0 = item / strips * BLOCK, width = block_width(conv.f, item / strips);
            const auto by = width == BLOCK ? accumulate_points<S, 2> : accumulate_points<S, 1>;
            float* const sums = totals.floats() + item * item_floats;
            by((end - origin) * columns, x_points + c0 / LANES * tile_stride + c0 % LANES,
               g_points + f0 / LANES * tile_stride, tile_stride, x_stride, g_stride, sums, origin > 0);
            if (end == all) to_filters<S>(sums, width, conv.f, conv.c, f0, c0, out);
        });
    }
    for (int64_t i = 0; bias_grad != nullptr && i < conv.f; ++i) bias_grad[i] = bias[i];
}

void weight_grad(const Conv& conv, int64_t tile, const float* g, const float* x, float* out, float* bias_grad) {
    const auto by = conv.kh == 5 ? weight_grad_by<SixPoints<2>>
                    : tile == 4  ? weight_grad_by<SixPoints<4>>
                                 : weight_grad_by<FourPoints>;
    by(conv, g, x, out, bias_grad);
}

}  // namespace winograd

void conv2d_winograd_weight_grad(const Conv& conv, int64_t tile, const float* g, const float* x, float* out,
                                 float* bias_grad) {
    winograd::weight_grad(conv, tile, g, x, out, bias_grad);
}

void winograd_weight_grad(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad) {
    conv2d_winograd_weight_grad(conv, winograd_tile(conv), g, x, out, bias_grad);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
