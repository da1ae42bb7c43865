// Winograd's algorithm with tiles in the lanes: forward, and the input gradient, which is the forward of rotated filters.
//
// For every image, all channels' columns go to their points. Then, for a few vectors of tiles, one row of points after the
// other: along the row to the points, a product for every point, along the row to outputs; at last down the columns to
// outputs. So what is between images and maps stays in the nearest caches.
#include <utility>

#include "buffers.h"
#include "pool.h"
#include "winograd.h"
#include "winograd_flat.h"
#include "winograd_flat_targets.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace flat {
namespace {

constexpr int TOGETHER = REGISTERS == 32 ? 8 : 4;  // outputs whose sums the registers hold, for VECTORS of tiles
constexpr int VECTORS = 2;
constexpr int64_t CHAIN = 128;  // channels that are added one after the other: bounds the rounding

// Filters w[F][C][R][R] at their points: to[point][block][channel][output of the block], zeros behind the last output.
template <class S>
void filters_to_points(const float* w, int64_t outputs, int64_t channels, bool rotated, int64_t block, float* to) {
    constexpr int R = S::R, TAPS = R * R;
    constexpr int64_t PART = TOGETHER < LANES ? TOGETHER : LANES;
    const int64_t point = ceil_div(outputs, block) * block * channels;
    alignas(64) float taps[TAPS][LANES] = {};
    for (int64_t first = 0; first < outputs; first += block) {
        for (int64_t c = 0; c < channels; ++c, to += block) {
            for (int64_t some = 0; some < block; some += PART) {
                const int64_t count = smaller(PART, block - some);
                for (int64_t i = 0; i < count; ++i) {
                    const int64_t f = first + some + i;
                    const float* from = w + (rotated ? c * outputs + f : f * channels + c) * TAPS;
                    for (int k = 0; k < TAPS; ++k) taps[k][i] = f < outputs ? from[rotated ? TAPS - 1 - k : k] : 0;
                }
                winograd::transform<typename S::Weight>(
                    [&](int i, int j) { return load(taps[i * R + j]); },
                    [&](int i, int j, Vec v) {
                        float* const there = to + (i * S::T + j) * point + some;
                        if (count == PART) {  // a size that compilers know
                            __builtin_memcpy(there, &v, PART * sizeof(float));
                        } else {
                            __builtin_memcpy(there, &v, static_cast<size_t>(count) * sizeof(float));
                        }
                    });
            }
        }
    }
}

// sums[output][vector] = or += the sum over channels of points[channel][.. vector ..] * weights[channel][output]
template <int OUTPUTS, int V>
void product(int64_t channels, const float* points, int64_t step, const float* weights, float* sums, bool add) {
    Vec acc[OUTPUTS][V] = {};
    const float* const end = weights + channels * OUTPUTS;
    for (; weights < end; weights += OUTPUTS, points += step) {
        Vec x[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) x[v] = in_register(load(points + v * LANES));
#pragma GCC unroll 8
        for (int f = 0; f < OUTPUTS; ++f) {
            const Vec weight = broadcast(weights[f]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[f][v] += weight * x[v];
        }
    }
    if (add) {
#pragma GCC unroll 8
        for (int f = 0; f < OUTPUTS; ++f) {
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[f][v] += load(sums + (f * V + v) * LANES);
        }
    }
#pragma GCC unroll 8
    for (int f = 0; f < OUTPUTS; ++f) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) store(sums + (f * V + v) * LANES, acc[f][v]);
    }
}

using Product = void (*)(int64_t, const float*, int64_t, const float*, float*, bool);

template <int V, int... I>
Product find_product(int64_t outputs, std::integer_sequence<int, I...>) {
    static constexpr Product products[] = {product<I + 1, V>...};
    return products[outputs - 1];
}

// Along a row: sums[point of the row][output][vector] -> halves[output][vector][row of points][output of a tile's row]
template <class Y, int V>
void row_to_outputs(int64_t outputs, const float* sums, float* halves) {
    for (int64_t f = 0; f < outputs; ++f) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v, sums += LANES, halves += Y::T * Y::M * LANES) {
            Vec in[Y::T], out[Y::M];
#pragma GCC unroll 8
            for (int j = 0; j < Y::T; ++j) in[j] = in_register(load(sums + j * TOGETHER * V * LANES));
            Y::S::Output::apply(in, out);
#pragma GCC unroll 4
            for (int j = 0; j < Y::M; ++j) store(halves + j * LANES, out[j]);
        }
    }
}

// The convolution of an image whose columns are at their points.
template <class Y>
struct Image {
    static constexpr int T = Y::T, M = Y::M;
    const Y& y;
    int64_t outputs, block, blocks;  // of so many outputs
    const float *weights, *bias;
    float *columns, *points, *sums, *halves;

    static constexpr int64_t SUMS = T * TOGETHER * VECTORS * LANES;
    static int64_t points_of(const Y& y) { return T * y.channels * VECTORS * LANES; }
    static int64_t columns_of(const Y& y) { return T * y.column_row; }
    int64_t halves_of() const { return blocks * block * VECTORS * T * M * LANES; }

    template <int V, class Target>
    void some_tiles(int64_t vector, const Target& target) const {
        const Product multiply = find_product<V>(block, std::make_integer_sequence<int, TOGETHER>{});
        const int64_t channels = y.channels, weight_block = block * channels, point = blocks * weight_block;
        typename Target::Place place[V];
        for (int v = 0; v < V; ++v) place[v] = target.place(vector + v);
        int64_t before = T * T * blocks / 2, expected = 0;  // products until outputs are expected
        for (int i = 0; i < T; ++i) {
            row_to_points<Y, V>(y, columns + i * y.column_row + vector * Y::COLUMN_VECTOR, points);
            for (int64_t some = 0; some < blocks; ++some) {
                const float* by = weights + i * T * point + some * weight_block;
                for (int j = 0; j < T; ++j) {
                    if (--before < 0 && expected < outputs * V) {
                        target.expect(expected / V, place[expected % V]);
                        ++expected;
                    }
                    for (int64_t c = 0; c == 0 || c < channels; c += CHAIN) {
                        multiply(smaller(CHAIN, channels - c), points + (c * T + j) * V * LANES, T * V * LANES,
                                 by + j * point + c * block, sums + j * TOGETHER * V * LANES, c > 0);
                    }
                }
                row_to_outputs<Y, V>(block, sums, halves + (some * block * V * T + i) * M * LANES);
            }
        }
        const float* from = halves;
        for (int64_t f = 0; f < outputs; ++f) {
            const Vec add = broadcast(bias == nullptr ? 0.0f : bias[f]);
            for (int v = 0; v < V; ++v, from += T * M * LANES) {
                Vec tile[M][M];
#pragma GCC unroll 4
                for (int j = 0; j < M; ++j) {
                    Vec in[T], column[M];
#pragma GCC unroll 8
                    for (int i = 0; i < T; ++i) in[i] = in_register(load(from + (i * M + j) * LANES));
                    Y::S::Output::apply(in, column);
#pragma GCC unroll 4
                    for (int i = 0; i < M; ++i) tile[i][j] = column[i] + add;
                }
                target.take(f, place[v], tile);
            }
        }
    }

    template <class Target>
    void run(const Target& target) const {
        int64_t i = 0;
        for (; i + VECTORS <= y.vectors; i += VECTORS) some_tiles<VECTORS>(i, target);
        for (; i < y.vectors; ++i) some_tiles<1>(i, target);
        target.finish();
    }
};

// Calls finish(number of an image, the image, room) for all images; `floats` is how much room.
template <class Y, class Finish>
void convolve(const Conv& v, const Y& y, const float* x, const float* w, bool rotated, const float* b, int64_t floats,
              Finish finish) {
    if (v.n == 0 || v.f == 0) return;
    const int64_t blocks = ceil_div(v.f, TOGETHER), block = ceil_div(v.f, blocks);
    const int64_t weight_floats = Y::T * Y::T * blocks * block * v.c;
    const Scratch weights(weight_floats + 1);
    filters_to_points<typename Y::S>(w, v.f, v.c, rotated, block, weights.floats());
    const int64_t parts = smaller(v.n, 4 * num_threads());
    parallel(static_cast<int>(parts), [&](int part) {
        Image<Y> image{y, v.f, block, blocks, weights.floats(), b, nullptr, nullptr, nullptr, nullptr};
        const int64_t zeros = y.padded + y.planes, sizes[] = {zeros, Image<Y>::columns_of(y), Image<Y>::points_of(y),
                                                              Image<Y>::SUMS, image.halves_of()};
        int64_t all = floats;
        for (const int64_t size : sizes) all += size;
        const Scratch room(all);  // one for all: what is used together does not fall into the same sets of a cache
        float* const padded = room.floats();
        image.columns = padded + zeros;
        image.points = image.columns + sizes[1];
        image.sums = image.points + sizes[2];
        image.halves = image.sums + sizes[3];
        __builtin_memset(padded, 0, static_cast<size_t>(zeros) * sizeof(float));
        for (int64_t n = v.n * part / parts; n < v.n * (part + 1) / parts; ++n) {
            for (int64_t c = 0; c < v.c; ++c) {
                const float* channel = x + (n * v.c + c) * v.h * v.w;
                deal_image(y, channel, v.h, v.w, v.top, v.left, padded, padded + y.padded);
                columns_to_points(y, padded + y.padded, image.columns + c * y.column_channel);
            }
            finish(n, image, image.halves + sizes[4]);
        }
    });
}

template <class S>
void maps_of(const Conv& v, const float* x, const float* w, bool rotated, const float* b, float* out, Activation act) {
    using Y = Layout<S>;
    if (v.oh == 0 || v.ow == 0) return;
    const Y y{v.c, ceil_div(v.oh, S::M), ceil_div(v.ow, S::M), v.w, v.left};
    const bool whole = ToWholeMaps<Y>::fit(y, v.oh, v.ow);
    const int64_t floats = whole ? 0 : v.f * S::M * ToMaps<Y>::row_of(y), size = v.oh * v.ow;
    convolve(v, y, x, w, rotated, b, floats, [&](int64_t n, const Image<Y>& image, float* room) {
        float* const maps = out + n * v.f * size;
        if (whole) return image.run(ToWholeMaps<Y>{maps, size, v.ow, act == RELU});
        image.run(ToMaps<Y>{y, room, maps, v.f, v.oh, v.ow, act == RELU});
    });
}

}  // namespace

void forward(const Conv& v, const float* x, const float* w, const float* b, float* out, Activation act) {
    (v.kh == 5 ? maps_of<winograd::SixPoints<2>> : maps_of<winograd::SixPoints<4>>)(v, x, w, false, b, out, act);
}

void input_grad(const Conv& v, const float* g, const float* w, float* out) {
    const Conv back = input_grad_of(v);
    (v.kh == 5 ? maps_of<winograd::SixPoints<2>> : maps_of<winograd::SixPoints<4>>)(back, g, w, true, nullptr, out, NONE);
}

void forward_in_squares(const Conv& v, const Pool& p, const float* x, const float* w, const float* b, float* out,
                        uint8_t* winners, float slope) {
    using Y = Layout<winograd::SixPoints<2>>;
    const Y y{v.c, p.oh, p.ow, v.w, v.left};
    const int64_t places = v.f * y.vectors * LANES, size = p.oh * p.ow;
    convolve(v, y, x, w, false, b, places + ceil_div(places, 4), [&](int64_t n, const Image<Y>& image, float* room) {
        const int64_t maps = n * v.f * size;
        auto* numbers = reinterpret_cast<uint8_t*>(room + places);
        image.run(ToSquares<Y>{y, room, numbers, out + maps, winners + maps, v.f, p.oh, p.ow, slope});
    });
}

}  // namespace flat
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
