// Forward, and the input gradient, which is the forward of rotated filters with channels and filters swapped:
//
//     filters to points; for every group of tiles: images to points, a product for every point, points to outputs
#include "winograd.h"

#include "buffers.h"
#include "pool.h"
#include "winograd_filters.h"
#include "winograd_tiles.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

constexpr int MOST_TILES = (REGISTERS - 4) / 2;  // of one product: their sums, a vector of filters and one input
constexpr int64_t CHAIN = 128;                   // channels that are added one after the other: bounds the rounding

// sums[tile][output] = or += the sum over channels of points[channel block][tile][lane] * filters[channel][output]
template <int TILES, int VECTORS>
void product(int64_t channels, const float* points, int64_t block_stride, const float* filters, float* sums, bool add) {
    Vec total[TILES][VECTORS] = {};
    for (int64_t c = 0; c < channels; c += LANES, points += block_stride) {
        const int lanes = static_cast<int>(smaller(LANES, channels - c));
        for (int k = 0; k < lanes; ++k, filters += VECTORS * LANES) {
            Vec weights[VECTORS];
            for (int j = 0; j < VECTORS; ++j) weights[j] = load(filters + j * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < TILES; ++i) {
                const Vec x = broadcast(points[i * LANES + k]);
                for (int j = 0; j < VECTORS; ++j) total[i][j] += x * weights[j];
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < TILES; ++i) {
        for (int j = 0; j < VECTORS; ++j) {
            float* at = sums + (i * VECTORS + j) * LANES;
            store(at, add ? load(at) + total[i][j] : total[i][j]);
        }
    }
}

template <int VECTORS, int TILES = MOST_TILES>
void product_of(int64_t tiles, int64_t channels, const float* points, int64_t block_stride, const float* filters,
                float* sums, bool add) {
    if constexpr (TILES > 1) {
        if (tiles < TILES) return product_of<VECTORS, TILES - 1>(tiles, channels, points, block_stride, filters, sums, add);
    }
    product<TILES, VECTORS>(channels, points, block_stride, filters, sums, add);
}

// A convolution, as the tiles see it.
struct Job {
    Images in;
    Tiles tiles;
    int64_t f, oh, ow;
    const float* bias;
    Activation act;
    const float* filters;
    int64_t filter_stride;
    float* out;
};

// One block of outputs for the rows begin .. end-1 of tiles, whose points are there from the row `origin` on.
template <class S, int VECTORS>
void multiply(const Job& job, int64_t block, int64_t begin, int64_t end, int64_t origin, const float* points,
              int64_t stride, int64_t block_stride, float* sums, int64_t sum_stride, float* plane) {
    const int64_t tiles = (end - begin) * job.tiles.columns, parts = ceil_div(tiles, MOST_TILES);
    const float* at = points + (begin - origin) * job.tiles.columns * LANES;
    for (int64_t point = 0; point < S::T * S::T; ++point) {
        for (int64_t c = 0; c == 0 || c < job.in.c; c += CHAIN) {
            const float* filters = job.filters + point * job.filter_stride + block * BLOCK * job.in.c + c * VECTORS * LANES;
            for (int64_t part = 0; part < parts; ++part) {
                const int64_t first = tiles * part / parts, last = tiles * (part + 1) / parts;
                product_of<VECTORS>(last - first, smaller(CHAIN, job.in.c - c),
                                    at + point * stride + c / LANES * block_stride + first * LANES, block_stride, filters,
                                    sums + point * sum_stride + first * VECTORS * LANES, c > 0);
            }
        }
    }
    for (int v = 0; v < VECTORS; ++v) {
        const int64_t f0 = block * BLOCK + v * LANES, lanes = smaller(LANES, job.f - f0);
        const Vec bias = job.bias == nullptr ? Vec{} : lanes == LANES ? load(job.bias + f0) : load_part(job.bias + f0, lanes);
        const float* from = sums + v * LANES;
        const int64_t pitch = job.tiles.columns * S::M;
        job.tiles.visit(begin, end, [&](int64_t image, int64_t first, int64_t last) {
            for (int64_t row = 0; row < last - first; ++row) {
                for (int64_t column = 0; column < job.tiles.columns; ++column, from += VECTORS * LANES) {
                    float* to = plane + (row * pitch + column) * S::M * LANES;
                    const auto tile = [&](auto activate) {
                        transform<typename S::Output>(
                            [&](int i, int j) { return load(from + (i * S::T + j) * sum_stride); },
                            [&](int i, int j, Vec y) { store(to + (i * pitch + j) * LANES, activate(y + bias)); });
                    };
                    if (job.act == RELU) {
                        tile([](Vec y) { return relu(y); });
                    } else {
                        tile([](Vec y) { return y; });
                    }
                }
            }
            const int64_t y0 = first * S::M, y1 = smaller(job.oh, last * S::M);
            collect({plane, job.ow, pitch}, (y1 - y0) * job.ow, job.out + ((image * job.f + f0) * job.oh + y0) * job.ow,
                    job.oh * job.ow, lanes);
        });
    }
}

template <class S>
void multiply_block(const Job& job, int64_t block, int64_t begin, int64_t end, int64_t origin, const float* points,
                    int64_t stride, int64_t block_stride, float* sums, int64_t sum_stride, float* plane) {
    const auto by = block_width(job.f, block) == BLOCK ? multiply<S, 2> : multiply<S, 1>;
    by(job, block, begin, end, origin, points, stride, block_stride, sums, sum_stride, plane);
}

constexpr int64_t POINT_FLOATS = 160 << 10;   // of a group that one thread handles, in its own cache
constexpr int64_t SHARED_FLOATS = 2 << 20;    // of a group that all threads handle
constexpr int64_t FILTER_FLOATS = 1280 << 10; // filters that every thread can read for each of its groups

template <class S>
void run(const Job& job) {
    constexpr int64_t POINTS = S::T * S::T;
    const int64_t threads = num_threads(), blocks = job.in.blocks(), f_blocks = ceil_div(job.f, BLOCK);
    const int64_t columns = job.tiles.columns, all = job.tiles.all_rows(), tile_floats = POINTS * larger(1, blocks) * LANES;
    const int64_t rows = group_rows(job.tiles, smaller(112, larger(28, POINT_FLOATS / tile_floats)), threads);
    const int64_t groups = ceil_div(all, rows);
    const bool shared = groups < threads || job.filter_stride * POINTS > FILTER_FLOATS;
    const int64_t shared_rows = shared ? larger(1, SHARED_FLOATS / (tile_floats * columns * rows)) * rows : rows;

    const int64_t held = smaller(shared_rows, all), block_stride = held * columns * LANES;
    const int64_t stride = point_stride(block_stride * blocks), sum_stride = point_stride(rows * columns * BLOCK);
    const int64_t plane_rows = smaller(rows, job.tiles.rows);
    const int64_t plane_floats = larger(Plane::of(job.in, plane_rows, columns, S::M, S::T).floats(),
                                        plane_rows * columns * S::M * S::M * LANES);
    const int64_t own = point_stride(POINTS * sum_stride + plane_floats), all_points = point_stride(POINTS * stride);
    const Scratch scratch(threads * own + (shared ? 1 : threads) * all_points);
    float* const points = scratch.floats() + threads * own;

    const auto build = [&](int64_t block, int64_t begin, int64_t end, int64_t origin, float* to, float* mine) {
        to_points<typename S::Input, S::M>(job.in, job.tiles, begin, end, block, mine + POINTS * sum_stride,
                                           to + block * block_stride + (begin - origin) * columns * LANES, stride);
    };
    const auto multiply = [&](int64_t block, int64_t begin, int64_t end, int64_t origin, const float* from, float* mine) {
        multiply_block<S>(job, block, begin, end, origin, from, stride, block_stride, mine, sum_stride,
                          mine + POINTS * sum_stride);
    };
    const auto own_memory = [&](int part) { return scratch.floats() + part * own; };

    if (!shared) {
        share(groups, threads, [&](int64_t group, int part) {
            const int64_t begin = group * rows, end = smaller(all, begin + rows);
            float* to = points + part * all_points;
            for (int64_t block = 0; block < blocks; ++block) build(block, begin, end, begin, to, own_memory(part));
            for (int64_t block = 0; block < f_blocks; ++block) multiply(block, begin, end, begin, to, own_memory(part));
        });
        return;
    }
    for (int64_t origin = 0; origin < all; origin += shared_rows) {
        const int64_t end = smaller(all, origin + shared_rows), pieces = ceil_div(end - origin, rows);
        const auto piece = [&](int64_t i) { return origin + smaller(i * rows, end - origin); };
        share(pieces * blocks, threads, [&](int64_t item, int part) {
            const int64_t i = item % pieces;
            build(item / pieces, piece(i), piece(i + 1), origin, points, own_memory(part));
        });
        share(pieces * f_blocks, threads, [&](int64_t item, int part) {
            const int64_t i = item % pieces;
            multiply(item / pieces, piece(i), piece(i + 1), origin, points, own_memory(part));
        });
    }
}

template <class S>
void convolve_by(const Conv& conv, const float* x, const float* w, bool rotated, const float* b, float* out, Activation act) {
    if (conv.n == 0 || conv.f == 0 || conv.oh == 0 || conv.ow == 0) return;
    const int64_t stride = point_stride(padded(conv.f) * conv.c);
    const Scratch filters(S::T * S::T * stride);
    if (rotated) {
        filters_to_points<S>(w, conv.c, conv.f, true, filters.floats(), stride);
    } else {
        filters_to_points<S>(w, conv.f, conv.c, false, filters.floats(), stride);
    }
    run<S>(Job{{x, conv.c, conv.h, conv.w, conv.top, conv.left},
               Tiles::of<S>(conv.n, conv.oh, conv.ow), conv.f, conv.oh, conv.ow, b, act, filters.floats(), stride, out});
}

void convolve(const Conv& conv, int64_t tile, const float* x, const float* w, bool rotated, const float* b, float* out,
              Activation act) {
    const auto by = conv.kh == 5 ? convolve_by<SixPoints<2>> : tile == 4 ? convolve_by<SixPoints<4>> : convolve_by<FourPoints>;
    by(conv, x, w, rotated, b, out, act);
}

}  // namespace winograd

void conv2d_winograd(const Conv& conv, int64_t tile, const float* x, const float* w, const float* b, float* out,
                     Activation act) {
    winograd::convolve(conv, tile, x, w, false, b, out, act);
}

void conv2d_winograd_input_grad(const Conv& conv, int64_t tile, const float* g, const float* w, float* out) {
    const Conv back{conv.n, conv.f,  conv.oh, conv.ow, conv.c, conv.kh, conv.kw, conv.h, conv.w, 1, 1,
                    conv.kh - 1 - conv.top, conv.kw - 1 - conv.left, 1, 1, 1};
    winograd::convolve(back, tile, g, w, true, nullptr, out, NONE);
}

bool winograd_possible(const Conv& conv, int64_t tile) {
    const int64_t k = conv.kh;
    return conv.stride_h == 1 && conv.stride_w == 1 && conv.dilation_h == 1 && conv.dilation_w == 1 && conv.groups == 1 &&
           conv.kw == k && (k == 3 || k == 5) && (tile == 2 || (tile == 4 && k == 3)) && conv.top < k && conv.left < k;
}

int64_t winograd_tile(const Conv& conv) {
    if (conv.c < 16 || conv.f < 16) return 0;
    const int64_t tile = conv.kh == 5 ? 2 : 36 * ceil_div(conv.oh, 4) * ceil_div(conv.ow, 4) <
                                                16 * ceil_div(conv.oh, 2) * ceil_div(conv.ow, 2) ? 4 : 2;
    return winograd_possible(conv, tile) ? tile : 0;
}

void winograd_forward(const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act) {
    conv2d_winograd(conv, winograd_tile(conv), x, w, b, out, act);
}

void winograd_input_grad(const Conv& conv, const float* g, const float* w, float* out) {
    conv2d_winograd_input_grad(conv, winograd_tile(conv), g, w, out);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
