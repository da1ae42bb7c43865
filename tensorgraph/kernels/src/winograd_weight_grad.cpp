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
constexpr int64_t STRIP = 128;                               // channels that are multiplied together, point by point
constexpr int64_t CHAIN_TILES = 256;                         // tiles that are added one after the other
constexpr int64_t OWN_FLOATS = 320 << 10;                    // points of a group of tiles that one thread computes
constexpr int64_t SHARED_FLOATS = 512 << 10;                 // points of a group that all threads compute
constexpr int64_t SLICES = 8, SLICE_FLOATS = 160 << 10;      // the sums of a slice, if there are several

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

// All points of `channels` channels, a multiple of ROWS, and a block of filters: sums[point][channel][filter]. A point's
// part of x and g stays in the nearest cache meanwhile.
template <class S, int VECTORS>
void accumulate_points(int64_t tiles, int64_t channels, const float* x, const float* g, int64_t block_stride,
                       int64_t x_stride, int64_t g_stride, float* sums, bool add) {
    for (int64_t point = 0; point < S::T * S::T; ++point, x += x_stride, g += g_stride) {
        for (int64_t c = 0; c < channels; c += ROWS, sums += ROWS * VECTORS * LANES) {
            const float* const seen = x + c / LANES * block_stride + c % LANES;
            for (int64_t t = 0; t < tiles; t += CHAIN_TILES) {
                accumulate<VECTORS>(smaller(CHAIN_TILES, tiles - t), seen + t * LANES, g + t * LANES, block_stride,
                                    sums, add || t > 0);
            }
        }
    }
}

// ROWS channels c0 .. and filters f0 .. of out[F][C][R][R], of sums[point][channel][width] with points `stride` apart.
template <class S>
void to_filters(const float* sums, int64_t stride, int64_t width, int64_t f, int64_t c, int64_t f0, int64_t c0,
                float* out) {
    constexpr int TAPS = S::R * S::R;
    const int64_t channels = smaller(ROWS, c - c0), count = channels * TAPS;
    alignas(64) float taps[ROWS * TAPS * LANES];
    for (int64_t v = 0; v < width && f0 + v < f; v += LANES) {
        for (int64_t i = 0; i < channels; ++i) {
            const float* from = sums + i * width + v;
            float* to = taps + i * TAPS * LANES;
            transform<typename S::WeightGrad>([&](int p, int q) { return load(from + (p * S::T + q) * stride); },
                                              [&](int p, int q, Vec y) { store(to + (p * S::R + q) * LANES, y); });
        }
        collect({taps, count, count}, count, out + ((f0 + v) * c + c0) * TAPS, c * TAPS, smaller(LANES, f - f0 - v));
    }
}

// The batch is cut into slices and these into groups of tiles; every group's points are computed and then multiplied.
// Few channels: every thread takes slices, whose sums are added at the end. Many: a single slice, and the threads share
// the work of a group. Neither depends on the number of threads, so the result does not.
template <class S>
struct WeightGrad {
    static constexpr int64_t POINTS = S::T * S::T;
    const Images x, g;
    const Tiles tiles;
    float* const out;
    const int64_t threads = num_threads(), all = tiles.all_rows(), columns = tiles.columns;
    const int64_t x_blocks = x.blocks(), g_blocks = g.blocks(), all_blocks = x_blocks + g_blocks;
    const int64_t strips = ceil_div(x.c, STRIP), items = strips * ceil_div(g.c, BLOCK);  // of the sums
    const int64_t item_floats = POINTS * smaller(STRIP, ceil_div(x.c, ROWS) * ROWS) * BLOCK;
    const int64_t most_slices = smaller(smaller(SLICES, all), all * columns / 32);
    const int64_t slices = items * item_floats <= SLICE_FLOATS ? larger(1, most_slices) : 1;

    const int64_t wanted = (slices > 1 ? OWN_FLOATS : SHARED_FLOATS) / (POINTS * all_blocks * LANES);
    const int64_t few = slices > 1 ? 32 : 64;  // tiles that a group has at least
    const int64_t rows = group_rows({1, ceil_div(all, slices), columns}, smaller(CHAIN_TILES, larger(few, wanted)), 1);
    const int64_t piece = slices > 1 ? rows : larger(1, smaller(rows, 32 / columns));  // rows of tiles in one plane
    const int64_t block_stride = rows * columns * LANES;
    const int64_t x_stride = point_stride(block_stride * x_blocks), g_stride = point_stride(block_stride * g_blocks);
    const int64_t group_floats = POINTS * (x_stride + g_stride);
    const int64_t plane_floats =
        larger(Plane::of(x, smaller(piece, tiles.rows), columns, S::M, S::T).floats() * (x.phases != nullptr ? 2 : 1),
               Plane::of(g, smaller(piece, tiles.rows), columns, S::M, S::M).floats());

    const Scratch planes{threads * plane_floats}, points{(slices > 1 ? threads : 1) * group_floats};
    const Scratch sums{slices * items * item_floats};  // [slice][item][point][channel][filter]
    const Scratch row_sums{all * g_blocks * LANES};    // [row of tiles][filter]: the pixels of g, for the bias

    int64_t slice_begin(int64_t slice) const { return all * slice / slices; }
    float* sums_of(int64_t slice, int64_t item) const { return sums.floats() + (slice * items + item) * item_floats; }

    // The rows begin .. end-1 of tiles, for a block of channels or filters, at their points.
    void build(int64_t block, int64_t begin, int64_t end, int64_t origin, float* to, int thread) const {
        float* const plane = planes.floats() + thread * plane_floats;
        const int64_t at = (begin - origin) * columns * LANES;
        if (block < x_blocks) {
            to += block * block_stride + at;
            to_points<typename S::Input, S::M>(x, tiles, begin, end, block, plane, to, x_stride);
        } else {
            block -= x_blocks;
            to += POINTS * x_stride + block * block_stride + at;
            float* const pixels = row_sums.floats() + (block * all + begin) * LANES;
            to_points<typename S::OutputGrad, S::M>(g, tiles, begin, end, block, plane, to, g_stride, pixels);
        }
    }

    int64_t channels_of(int64_t strip) const {  // with those that make the last product whole
        return ceil_div(smaller(STRIP, x.c - strip * STRIP), ROWS) * ROWS;
    }

    void accumulate_item(int64_t item, int64_t count, const float* from, float* to, bool add) const {
        const int64_t strip = item % strips, f_block = item / strips;
        const auto run = block_width(g.c, f_block) == BLOCK ? accumulate_points<S, 2> : accumulate_points<S, 1>;
        const float* const x_from = from + strip * (STRIP / LANES) * block_stride;
        const float* const g_from = from + POINTS * x_stride + f_block * (BLOCK / LANES) * block_stride;
        run(count * columns, channels_of(strip), x_from, g_from, block_stride, x_stride, g_stride, to, add);
    }

    void run_slice(int64_t slice, int thread) const {
        const int64_t first = slice_begin(slice), last = slice_begin(slice + 1);
        float* const mine = points.floats() + thread * group_floats;
        for (int64_t begin = first; begin < last; begin += rows) {
            const int64_t end = smaller(last, begin + rows);
            for (int64_t block = 0; block < all_blocks; ++block) build(block, begin, end, begin, mine, thread);
            for (int64_t item = 0; item < items; ++item) {
                accumulate_item(item, end - begin, mine, sums_of(slice, item), begin > first);
            }
        }
    }

    void run_together() const {
        for (int64_t begin = 0; begin < all; begin += rows) {
            const int64_t end = smaller(all, begin + rows), pieces = ceil_div(end - begin, piece);
            share(pieces * all_blocks, threads, [&](int64_t item, int thread) {
                const int64_t first = begin + item % pieces * piece;
                build(item / pieces, first, smaller(end, first + piece), begin, points.floats(), thread);
            });
            share(items, threads, [&](int64_t item, int) {
                accumulate_item(item, end - begin, points.floats(), sums_of(0, item), begin > 0);
                if (end == all) finish(item);
            });
        }
    }

    void finish(int64_t item) const {
        const int64_t strip = item % strips, f_block = item / strips, width = block_width(g.c, f_block);
        const int64_t stride = channels_of(strip) * width;  // from point to point
        float* const total = sums_of(0, item);
        for (int64_t slice = 1; slice < slices; ++slice) {
            const float* from = sums_of(slice, item);
            for (int64_t i = 0; i < POINTS * stride; ++i) total[i] += from[i];
        }
        for (int64_t c = 0; c < channels_of(strip); c += ROWS) {
            to_filters<S>(total + c * width, stride, width, g.c, x.c, f_block * BLOCK, strip * STRIP + c, out);
        }
    }

    void run(float* bias_grad) const {
        if (slices > 1) {
            share(slices, threads, [&](int64_t slice, int thread) { run_slice(slice, thread); });
            share(items, threads, [&](int64_t item, int) { finish(item); });
        } else {
            run_together();
        }
        for (int64_t f = 0; bias_grad != nullptr && f < g.c; f += LANES) {
            Vec total{};
            for (int64_t first = 0; first < all; first += 64) {  // chains of 64 rows bound the rounding
                Vec part{};
                for (int64_t row = first; row < smaller(all, first + 64); ++row) {
                    part += load(row_sums.floats() + (f / LANES * all + row) * LANES);
                }
                total += part;
            }
            store_part(bias_grad + f, total, static_cast<int>(smaller(LANES, g.c - f)));
        }
    }
};

template <class S>
void weight_grad_by(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad,
                    const Phases* phases) {
    const Tiles tiles = Tiles::of<S>(conv.n, conv.oh, conv.ow);
    if (tiles.all_rows() == 0 || tiles.columns == 0 || conv.f == 0) {
        for (int64_t i = 0; i < conv.f * conv.c * S::R * S::R; ++i) out[i] = 0;
        for (int64_t i = 0; bias_grad != nullptr && i < conv.f; ++i) bias_grad[i] = 0;
        return;
    }
    WeightGrad<S>{{x, conv.c, conv.h, conv.w, conv.top, conv.left, phases}, {g, conv.f, conv.oh, conv.ow, 0, 0}, tiles, out}
        .run(bias_grad);
}

void weight_grad(const Conv& conv, int64_t tile, const float* g, const float* x, float* out, float* bias_grad,
                 const Phases* phases = nullptr) {
    const auto by = conv.kh == 5 ? weight_grad_by<SixPoints<2>>
                    : tile == 4  ? weight_grad_by<SixPoints<4>>
                                 : weight_grad_by<FourPoints>;
    by(conv, g, x, out, bias_grad, phases);
}

}  // namespace winograd

void conv2d_winograd_weight_grad(const Conv& conv, int64_t tile, const float* g, const float* x, float* out,
                                 float* bias_grad) {
    winograd::weight_grad(conv, tile, g, x, out, bias_grad);
}

void winograd_weight_grad(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad,
                          const Phases* phases) {
    winograd::weight_grad(conv, winograd_tile(conv), g, x, out, bias_grad, phases);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
