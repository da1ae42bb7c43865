// The weight gradient of a convolution whose maps were max-pooled: a window has one gradient, that of its winner.
//
//     out[f][c][r][s] = sum over windows q of g[f][q] * image[c][place of q's winner + place of tap r, s]
//
// Lanes are the taps of one channel and filter row, a line: they are neighbours in the image. The registers hold the
// sums of some lines, in some copies: a product need not wait for the one before.
#include <utility>

#include "buffers.h"
#include "conv_planes.h"
#include "conv_weight_grad.h"
#include "pool.h"
#include "window.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int LINES = 8;                 // at most, that are summed together
constexpr int64_t MOST_LINES = 1 << 14;  // of all filters: their sums stay near the processor
constexpr int64_t SLICES = 4;            // of the batch

// sums[line][lane] += g[q] * image[place[q] + offset[line] + lane]
template <int L, int COUNT>
void add_lines(const float* g, const int32_t* place, int64_t windows, const float* image, const int64_t* offset,
               float* sums) {
    constexpr int COPIES = COUNT <= 3 ? 4 : COUNT <= 6 ? 2 : 1;
    Floats<L> acc[COPIES][COUNT] = {};
    const float* line[COUNT];
#pragma GCC unroll 8
    for (int l = 0; l < COUNT; ++l) line[l] = image + offset[l];
    const auto add = [&](int64_t q, Floats<L>(&to)[COUNT]) {
        const Floats<L> value = g[q] - Floats<L>{};
        const int64_t at = place[q];
#pragma GCC unroll 8
        for (int l = 0; l < COUNT; ++l) to[l] += value * load_lanes<L>(line[l] + at);
    };
    int64_t q = 0;
    for (; q + COPIES <= windows; q += COPIES) {
#pragma GCC unroll 4
        for (int copy = 0; copy < COPIES; ++copy) add(q + copy, acc[copy]);
    }
    for (; q < windows; ++q) add(q, acc[0]);
#pragma GCC unroll 8
    for (int l = 0; l < COUNT; ++l) {
        Floats<L> total = acc[0][l];
        for (int copy = 1; copy < COPIES; ++copy) total += acc[copy][l];
        store_lanes<L>(sums + l * L, load_lanes<L>(sums + l * L) + total);
    }
}

using AddLines = void (*)(const float*, const int32_t*, int64_t, const float*, const int64_t*, float*);

template <int L, int... I>
AddLines find_lines(int64_t count, std::integer_sequence<int, I...>) {
    static constexpr AddLines functions[] = {add_lines<L, I + 1>...};
    return functions[count - 1];
}

// Calls f.operator()<L>() with the fewest lanes that hold a line.
template <class F>
void with_lanes_for(int64_t width, F&& f) {
    if (width <= 4) {
        f.template operator()<4>();
    } else if (width <= 8) {
        f.template operator()<(LANES < 8 ? LANES : 8)>();
    } else {
        f.template operator()<LANES>();
    }
}

bool all_finite(const float* x, int64_t count) {
    Vec strange{};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) strange += load(x + i) - load(x + i);
    const Vec rest = load_part(x + i, static_cast<int>(count - i));
    return sum(strange + (rest - rest)) == 0;
}

float total(const float* x, int64_t count) {
    if (count < LANES) return sum(load_part(x, static_cast<int>(count)));
    const int32_t whole = static_cast<int32_t>(count / LANES * LANES), rest = static_cast<int32_t>(count) - whole;
    Mask lane;
    for (int i = 0; i < LANES; ++i) lane[i] = i;
    Vec sums[2] = {lane >= LANES - rest ? load(x + count - LANES) : Vec{}};
    for (int64_t i = 0; i < whole; i += LANES) sums[i / LANES % 2] += load(x + i);
    return sum(sums[0] + sums[1]);
}

bool all_known(const uint8_t* winners, int64_t count, int64_t taps) {
    uint8_t most = 0;
    for (int64_t i = 0; i < count; ++i) most = most > winners[i] ? most : winners[i];
    return most <= taps;
}

// Where outputs of the convolution that won windows see an image. Every tap of every window is an output. Where nobody won,
// number `taps`, it is the row behind the last: the plane of ones is behind the image.
struct Places {
    int64_t windows, taps;
    int32_t row_taps;       // taps of a row
    int32_t right, row;     // how far it is to the next tap, and how much farther to the first of the next row
    const int32_t* corner;  // [windows], of their first taps

    Places(const Conv& v, const Pool& pool, const Planes& p, int32_t* corners)
        : windows(pool.oh * pool.ow), taps(pool.kh * pool.kw), row_taps(static_cast<int32_t>(pool.kw)),
          right(pool.kw == 1 ? 0 : static_cast<int32_t>(v.stride_w * pool.dilation_w)),
          row(pool.kh == 1 ? 0 : static_cast<int32_t>(v.stride_h * p.pitch * pool.dilation_h) - row_taps * right),
          corner(corners) {
        for (int64_t y = 0; y < pool.oh; ++y) {
            for (int64_t x = 0; x < pool.ow; ++x) {
                const int64_t down = y * pool.stride_h * v.stride_h * p.pitch;
                *corners++ = static_cast<int32_t>(down + x * pool.stride_w * v.stride_w);
            }
        }
    }

    void find(const uint8_t* winners, int32_t* place) const {
        with_lanes(windows, [&]<int L>() {
            cover<L>(0, windows, [&](int64_t i) {
                const Integers<L> tap = load_bytes<L>(winners + i);
                Integers<L> at;
                __builtin_memcpy(&at, corner + i, sizeof at);
                at += tap * right;
                for (int32_t first = row_taps; first < taps; first += row_taps) at += (tap >= first) & row;
                __builtin_memcpy(place + i, &at, sizeof at);
            });
        });
    }

    // Of the windows of a map, 0 where nobody won.
    void gradients(const Pooled& pooled, int64_t map, float* to) const {
        with_lanes(windows, [&]<int L>() {
            cover<L>(0, windows, [&](int64_t i) {
                const Integers<L> tap = load_bytes<L>(pooled.winners + map + i);
                store_lanes<L>(to + i, tap < static_cast<int32_t>(taps) ? pooled.gradients<L>(map + i) : Floats<L>{});
            });
        });
    }
};

// One slice of the batch: adds to sums[filter][line][lane] and to totals[filter]. False if it cannot.
template <int L>
bool run_images(const Conv& v, const Places& places, const Planes& p, int64_t first, int64_t last, const Pooled& pooled,
                const float* x, float* sums, float* totals) {
    const int64_t channels = v.c / v.groups, filters = v.f / v.groups, lines = channels * v.kh;
    const int64_t turns = ceil_div(lines, LINES);
    const Scratch planes(p.size), tables(2 * lines + 1), found(places.windows), gradients(places.windows);
    float* const g = gradients.floats();
    auto* offset = reinterpret_cast<int64_t*>(tables.floats());
    auto* place = reinterpret_cast<int32_t*>(found.floats());
    for (int64_t line = 0; line < lines; ++line) offset[line] = p.offset(v, line / v.kh, line % v.kh, 0);
    clear(p, planes.floats());
    for (int64_t n = first; n < last; ++n) {
        const int64_t maps = n * v.f * places.windows;
        if (!all_known(pooled.winners + maps, v.f * places.windows, places.taps)) return false;
        if (!all_finite(x + n * v.c * v.h * v.w, v.c * v.h * v.w)) return false;
        for (int64_t f = 0; f < v.f; ++f) {
            if (f % filters == 0) put_image(p, v, x, n, f / filters, planes.floats());
            const int64_t map = maps + f * places.windows;
            places.find(pooled.winners + map, place);
            places.gradients(pooled, map, g);
            totals[f] += total(g, places.windows);
            for (int64_t turn = 0; turn < turns; ++turn) {
                const int64_t line = lines * turn / turns, here = lines * (turn + 1) / turns - line;
                find_lines<L>(here, std::make_integer_sequence<int, LINES>{})(
                    g, place, places.windows, planes.floats(), offset + line, sums + (f * lines + line) * L);
            }
        }
    }
    return true;
}

bool all_inside(const Pool& p) {
    return p.top == 0 && p.left == 0 && (p.oh - 1) * p.stride_h + (p.kh - 1) * p.dilation_h < p.h &&
           (p.ow - 1) * p.stride_w + (p.kw - 1) * p.dilation_w < p.w;
}

}  // namespace

bool winners_are_few(const Conv& v, const Pool& pool) {
    if (v.kw > LANES || v.dilation_w != 1 || pool.oh * pool.ow == 0) return false;
    if (!planes_fit(v) || !all_inside(pool)) return false;
    const int64_t lines = v.c / v.groups * v.kh, taps = lines * v.kw, filters = v.f / v.groups, pixels = v.oh * v.ow;
    // In products of vectors, as measured. Wide loads that are not aligned take twice as long.
    const int64_t winners = pool.oh * pool.ow * filters * (2 + lines) * (v.kw > 8 ? 6 : 3) / 5;
    const int64_t filters_in_lanes = ceil_div(filters, LANES) * pixels * (taps + 6);
    const int64_t pixels_in_lanes = filters * ceil_div(v.oh * Planes(v).pitch, LANES) * (taps + 1);
    const int64_t others = in_squares(pool) && lanes_are_pixels(v)
                               ? pixels_in_lanes / 2 + filters * pixels * 2 / 5
                               : smaller(filters_in_lanes, pixels_in_lanes) + filters * pixels / 2;
    return lines * v.f <= MOST_LINES && winners < others;
}

bool weight_grad_of_winners(const Conv& v, const Pooled& pooled, const float* x, float* out, float* bias_grad) {
    const Pool& pool = pooled.pool;
    const Planes p(v);
    const Scratch corners(pool.oh * pool.ow);
    const Places places(v, pool, p, reinterpret_cast<int32_t*>(corners.floats()));
    const int64_t lines = v.f * (v.c / v.groups) * v.kh, slices = larger(1, smaller(v.n, SLICES));
    bool done[SLICES] = {};
    with_lanes_for(v.kw, [&]<int L>() {
        const int64_t size = lines * L + v.f;  // of the sums of a slice
        const Scratch sums(slices * size);
        parallel(static_cast<int>(slices), [&](int slice) {
            float* to = sums.floats() + slice * size;
            __builtin_memset(to, 0, static_cast<size_t>(size) * sizeof(float));
            done[slice] = run_images<L>(v, places, p, v.n * slice / slices, v.n * (slice + 1) / slices, pooled, x, to,
                                        to + lines * L);
        });
        for (int64_t slice = 1; slice < slices; ++slice) {
            for (int64_t i = 0; i < size; ++i) sums.floats()[i] += sums.floats()[slice * size + i];
        }
        for (int64_t line = 0; line < lines; ++line) {
            for (int64_t s = 0; s < v.kw; ++s) *out++ = sums.floats()[line * L + s];
        }
        for (int64_t f = 0; f < v.f; ++f) bias_grad[f] = sums.floats()[lines * L + f];
    });
    bool all = true;
    for (int64_t slice = 0; slice < slices; ++slice) all &= done[slice];
    return all;
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
