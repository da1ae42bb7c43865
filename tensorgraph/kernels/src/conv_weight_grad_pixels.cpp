// The weight gradient of a convolution without stride, lanes = pixels:
//
//     out[f][k] = sum over p of g[f][p] * image[offset[k] + p]
//
// Images are copied between zeros, with `pitch` floats a row, and the rows of g are laid out with the same pitch, zeros
// between them. So p runs over rows as over one long vector, and a tap is nothing but a distance. The registers hold
// the sums of some filters times some taps, lane by lane. The bias gradient is that of one more tap, which sees ones.
//
// Of maps that were pooled in squares, g is made as it is laid out, from the gradients of the winners.
#include <utility>

#include "best.h"
#include "buffers.h"
#include "conv_planes.h"
#include "conv_weight_grad.h"
#include "pool.h"
#include "rearrange.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int FILTERS = 4;                      // at most, of a block
constexpr int TAPS = 7;                         // at most, that are summed together
constexpr int64_t CHUNK = 1024;                 // pixels that are summed in one go: short sums are exact, and stay near
constexpr int64_t G_PITCH = 2 * CHUNK + LANES;  // from filter to filter; no power of two, for the cache's sake
constexpr int64_t SLICES = 4;                   // of the batch
constexpr int64_t MOST_SUMS = 4096;             // vectors that stay near the processor
constexpr int64_t TURNING = 6;                  // products that are as dear as a vector of g whose lanes become filters

// The registers hold the sums, what the taps see, and a vector of g.
constexpr int together(int filters) {
    const int fit = (REGISTERS - 1) / (filters + 1);
    return fit < TAPS ? fit : TAPS;
}

// A piece of several images: its pixels, and the distances to the next image's.
struct Pixels {
    int64_t images, pixels, g_step, x_step;
};

// sums[f][t][lane] += g[f][p] * x[offset[t] + p]. Vectors are read whole: zeros must follow the last pixel of g.
template <int F, int T>
void add_products(const Pixels& piece, const float* g, const float* x, const int64_t* offset, float* sums,
                  int64_t step) {
    Vec acc[F][T] = {};
    const float* at[T];
    for (int t = 0; t < T; ++t) at[t] = x + offset[t];
    for (int64_t n = 0; n < piece.images; ++n) {
        const float* upstream = g + n * piece.g_step;
        for (int64_t p = 0; p < piece.pixels; p += LANES) {
            Vec seen[T];
#pragma GCC unroll 7
            for (int t = 0; t < T; ++t) seen[t] = in_register(load(at[t] + n * piece.x_step + p));
#pragma GCC unroll 4
            for (int f = 0; f < F; ++f) {
                const Vec factor = in_register(load(upstream + f * G_PITCH + p));
#pragma GCC unroll 7
                for (int t = 0; t < T; ++t) acc[f][t] += factor * seen[t];
            }
        }
    }
#pragma GCC unroll 4
    for (int f = 0; f < F; ++f) {
#pragma GCC unroll 7
        for (int t = 0; t < T; ++t) {
            float* to = sums + f * step + t * LANES;
            store(to, load(to) + acc[f][t]);
        }
    }
}

using AddProducts = void (*)(const Pixels&, const float*, const float*, const int64_t*, float*, int64_t);

template <int F, int... T>
AddProducts with_taps(int64_t taps, std::integer_sequence<int, T...>) {
    static constexpr AddProducts functions[] = {add_products<F, T + 1>...};
    return functions[taps - 1];
}

template <int... F>
AddProducts find_products(int64_t filters, int64_t taps, std::integer_sequence<int, F...>) {
    const AddProducts found[] = {
        with_taps<F + 1>(smaller(taps, together(F + 1)), std::make_integer_sequence<int, together(F + 1)>{})...};
    return found[filters - 1];
}

// How the sums are cut.
struct Cuts {
    int64_t taps;    // C * KH * KW
    int64_t blocks;  // of the filters of a group
    int64_t height;  // rows of g that are summed in one go, of so many images
    int64_t images;
};

Cuts cuts(const Conv& v, const Planes& p) {
    const int64_t height = smaller(v.oh, larger(2, CHUNK / p.pitch / 2 * 2));  // in whole squares
    return {v.c / v.groups * v.kh * v.kw, ceil_div(v.f / v.groups, FILTERS), height,
            height < v.oh ? 1 : larger(1, CHUNK / (v.oh * p.pitch + LANES))};
}

// `rows` rows of a map's gradient, of `width` floats, `pitch` apart in `to`; y is the first one, and even.
void put_squares(const Pooled& from, int64_t map, int64_t y, int64_t rows, int64_t width, int64_t pitch, float* to) {
    const Pool& p = from.pool;
    for (int64_t row = 0; row < rows; row += 2, to += 2 * pitch) {
        if (y + row == 2 * p.oh) {  // no square has seen the last one
            __builtin_memset(to, 0, static_cast<size_t>(width) * sizeof(float));
            return;
        }
        with_lanes(p.ow, [&]<int L>() {
            cover<L>(0, p.ow, [&, at = (map * p.oh + (y + row) / 2) * p.ow](int64_t i) {
                store_squares<L>(from.gradients<L>(at + i), from.winners + at + i, to + 2 * i, pitch);
            });
        });
    }
}

// Adds what the images first .. last-1 of a group give to sums[filter][tap][lane].
void run_images(const Conv& v, const Planes& p, const Cuts& cut, int64_t group, int64_t first, int64_t last,
                const float* g, const Pooled* pooled, const float* x, float* sums) {
    const int64_t filters = v.f / v.groups, step = (cut.taps + 1) * LANES;
    const Scratch planes(cut.images * p.size);
    const Scratch gradients(FILTERS * G_PITCH);
    const Scratch tables(2 * (cut.taps + 1));
    auto* offset = reinterpret_cast<int64_t*>(tables.floats());
    for (int64_t k = 0; k < cut.taps; ++k) offset[k] = p.offset(v, k / (v.kh * v.kw), k / v.kw % v.kh, k % v.kw);
    offset[cut.taps] = p.ones;
    __builtin_memset(gradients.floats(), 0, static_cast<size_t>(FILTERS * G_PITCH) * sizeof(float));
    for (int64_t i = 0; i < cut.images; ++i) clear(p, planes.floats() + i * p.size);
    for (int64_t n = first; n < last; n += cut.images) {
        const int64_t images = smaller(cut.images, last - n);
        for (int64_t i = 0; i < images; ++i) put_image(p, v, x, n + i, group, planes.floats() + i * p.size);
        for (int64_t y = 0; y < v.oh; y += cut.height) {
            const int64_t rows = smaller(cut.height, v.oh - y), pixels = (rows - 1) * p.pitch + v.ow;
            const Pixels piece{images, pixels, ceil_div(pixels, LANES) * LANES, p.size};
            for (int64_t block = 0; block < cut.blocks; ++block) {
                const int64_t begin = filters * block / cut.blocks;
                const int64_t count = filters * (block + 1) / cut.blocks - begin;
                for (int64_t f = 0; f < count; ++f) {
                    for (int64_t i = 0; i < images; ++i) {
                        const int64_t plane = ((n + i) * v.groups + group) * filters + begin + f;
                        float* to = gradients.floats() + f * G_PITCH + i * piece.g_step;
                        if (pooled != nullptr) {
                            put_squares(*pooled, plane, y, rows, v.ow, p.pitch, to);
                        } else {
                            copy_rows(g + (plane * v.oh + y) * v.ow, rows, v.ow, p.pitch, to);
                        }
                        store(to + pixels, Vec{});
                    }
                }
                const int64_t turns = ceil_div(cut.taps + 1, together(static_cast<int>(count)));
                for (int64_t turn = 0; turn < turns; ++turn) {
                    const int64_t k = (cut.taps + 1) * turn / turns, taps = (cut.taps + 1) * (turn + 1) / turns - k;
                    find_products(count, taps, std::make_integer_sequence<int, FILTERS>{})(
                        piece, gradients.floats(), planes.floats() + y * p.pitch, offset + k,
                        sums + begin * step + k * LANES, step);
                }
            }
        }
    }
}

// The sums over slices and lanes of one filter: out[tap], and the bias gradient. Says whether all are finite.
bool finish(const float* sums, int64_t slices, int64_t slice_size, int64_t taps, float* out, float* bias_grad) {
    Vec strange{};
    for (int64_t k = 0; k <= taps; k += LANES) {
        const int64_t count = smaller(LANES, taps + 1 - k);
        Vec rows[LANES] = {};
        for (int64_t i = 0; i < count; ++i) {
            const float* from = sums + (k + i) * LANES;
            for (int64_t slice = 0; slice < slices; ++slice) rows[i] += load(from + slice * slice_size);
        }
        const Vec found = totals(rows);
        strange += found - found;  // NaN if it is infinite or NaN
        store_part(out + k, found, static_cast<int>(smaller(count, taps - k)));
        if (k + count > taps) *bias_grad = found[count - 1];
    }
    return sum(strange) == 0;
}

}  // namespace

bool lanes_are_pixels(const Conv& v) {
    if (v.stride_h * v.stride_w != 1 || !planes_fit(v)) return false;
    const Planes p(v);
    const int64_t filters = v.f / v.groups, taps = v.c / v.groups * v.kh * v.kw;
    if (p.pitch > CHUNK || filters * taps > MOST_SUMS) return false;
    const int64_t products = filters * (taps + 1) * ceil_div(v.oh * p.pitch, LANES);  // in vectors
    return products < ceil_div(filters, LANES) * v.oh * v.ow * (taps + TURNING);
}

bool weight_grad_by_pixels(const Conv& v, const float* g, const Pooled* pooled, const float* x, float* out,
                           float* bias_grad) {
    const Planes p(v);
    const Cuts cut = cuts(v, p);
    const int64_t filters = v.f / v.groups, step = (cut.taps + 1) * LANES, size = v.f * step;  // of the sums of a slice
    const int64_t slices = larger(1, smaller(v.n, SLICES));
    const Scratch sums(slices * size);
    parallel(static_cast<int>(slices), [&](int slice) {
        float* to = sums.floats() + slice * size;
        __builtin_memset(to, 0, static_cast<size_t>(size) * sizeof(float));
        for (int64_t group = 0; group < v.groups; ++group) {
            run_images(v, p, cut, group, v.n * slice / slices, v.n * (slice + 1) / slices, g, pooled, x,
                       to + group * filters * step);
        }
    });
    bool finite = true;
    for (int64_t f = 0; f < v.f; ++f) {
        finite &= finish(sums.floats() + f * step, slices, size, cut.taps, out + f * cut.taps, bias_grad + f);
    }
    return finite;
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
