// Maximum pooling. The winner of a window is the number of the tap that saw the maximum first, kh*kw if there is none.
#include <cmath>

#include "best.h"
#include "pool.h"
#include "window.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

namespace {

// L neighbouring windows, the first of which begins at `x`; they have the taps `rows` and `columns` inside the image.
template <int L, int S>
inline void windows(const Pool& p, const float* x, Range rows, Range columns, float* out, uint8_t* winners) {
    const bool none = rows.first == rows.end || columns.first == columns.end;
    const int64_t first = none ? p.kh * p.kw : rows.first * p.kw + columns.first;
    Best<L> best{Floats<L>{} - INFINITY, Integers<L>{} + static_cast<int32_t>(first)};
    for (int64_t i = rows.first; i < rows.end; ++i) {
        for (int64_t j = columns.first; j < columns.end; ++j) {
            best.meet(load_strided<L, S>(x + (i * p.dilation_h * p.w + j * p.dilation_w), p.stride_w), i * p.kw + j);
        }
    }
    store_lanes<L>(out, best.value);
    store_bytes<L>(winners, best.tap);
}

// 2 x 2: two rows in, one out.
void squares(const Pool& p, const float* x, float* out, uint8_t* winners) {
    parallel_ranges(p.planes * p.oh, grain_of_rows(4 * p.ow), [&](int64_t begin, int64_t end) {
        with_lanes(p.ow, [&]<int L>() {
            for_rows(p, begin, end, [&](int64_t row, int64_t plane, int64_t y) {
                const float* upper = x + (plane * p.h + 2 * y) * p.w;
                cover<L>(0, p.ow, [=, w = p.w, to = row * p.ow](int64_t i) {
                    const float *first = upper + 2 * i, *second = first + w;
                    const Floats<L> a = load_lanes<L>(first), b = load_lanes<L>(first + L);
                    const Floats<L> c = load_lanes<L>(second), d = load_lanes<L>(second + L);
                    Best<L> best{evens<L>(a, b), {}};
                    best.meet(odds<L>(a, b), 1);
                    best.meet(evens<L>(c, d), 2);
                    best.meet(odds<L>(c, d), 3);
                    store_lanes<L>(out + to + i, best.value);
                    store_bytes<L>(winners + to + i, best.tap);
                });
            });
        });
    });
}

}  // namespace

void max_pool2d(const Pool& p, const float* x, float* out, uint8_t* winners) {
    if (in_squares(p)) return squares(p, x, out, winners);
    const Range whole = whole_windows(p), all = {0, p.kw};
    parallel_ranges(p.planes * p.oh, grain_of_rows(p.ow * p.kh * p.kw), [&](int64_t begin, int64_t end) {
        for_rows(p, begin, end, [&](int64_t row, int64_t plane, int64_t y) {
            const int64_t start = y * p.stride_h - p.top;
            const Range rows = taps_inside(start, p.h, p.kh, p.dilation_h);
            const auto some = [&]<int L, int S>(int64_t o, Range columns) {
                const float* from = x + ((plane * p.h + start) * p.w + o * p.stride_w - p.left);
                windows<L, S>(p, from, rows, columns, out + row * p.ow + o, winners + row * p.ow + o);
            };
            const auto edge = [&](int64_t o) {
                some.template operator()<1, 1>(o, taps_inside(o * p.stride_w - p.left, p.w, p.kw, p.dilation_w));
            };
            for (int64_t o = 0; o < whole.first; ++o) edge(o);
            with_stride(p.stride_w, [&]<int S>() {
                with_lanes(whole.end - whole.first, [&]<int L>() {
                    cover<L>(whole.first, whole.end, [&](int64_t o) { some.template operator()<L, S>(o, all); });
                });
            });
            for (int64_t o = whole.end; o < p.ow; ++o) edge(o);
        });
    });
}

namespace {

template <int L>
inline void leak(float slope, int64_t taps, float* out, uint8_t* winners) {
    Best<L> best{load_lanes<L>(out), load_bytes<L>(winners)};
    best.leak(slope, static_cast<int32_t>(taps));
    store_lanes<L>(out, best.value);
    store_bytes<L>(winners, best.tap);
}

}  // namespace

// In place.
void leaky_maxima(float slope, int64_t n, int64_t taps, float* out, uint8_t* winners) {
    if (slope == 1.0f) return;
    parallel_ranges(n, grain_of_rows(1), [=](int64_t begin, int64_t end) {
        int64_t i = begin;
        for (; i + LANES <= end; i += LANES) leak<LANES>(slope, taps, out + i, winners + i);
        for (; i < end; ++i) leak<1>(slope, taps, out + i, winners + i);
    });
}

// --- the gradient, and its adjoint ---------------------------------------------------------------------------------------

namespace {

// One row of gradients becomes two rows.
void squares_grad(const Pool& p, const float* g, const uint8_t* winners, float* x_grad) {
    parallel_ranges(p.planes * p.oh, grain_of_rows(4 * p.ow), [&](int64_t begin, int64_t end) {
        with_lanes(p.ow, [&]<int L>() {
            for_rows(p, begin, end, [&](int64_t row, int64_t plane, int64_t y) {
                float* upper = x_grad + (plane * p.h + 2 * y) * p.w;
                cover<L>(0, p.ow, [=, w = p.w, from = row * p.ow](int64_t i) {
                    store_squares<L>(load_lanes<L>(g + from + i), winners + from + i, upper + 2 * i, w);
                });
                clear_behind_squares(p, upper, y);
            });
        });
    });
}

// Calls f(window, place) for every window of a plane that has a winner.
template <class F>
void for_winners(const Pool& p, const uint8_t* winners, F&& f) {
    int64_t down[256], right[256];  // of each tap
    const int64_t taps = smaller(p.kh * p.kw, 256);
    for (int64_t tap = 0; tap < taps; ++tap) {
        down[tap] = tap / p.kw * p.dilation_h;
        right[tap] = tap % p.kw * p.dilation_w;
    }
    for (int64_t oy = 0; oy < p.oh; ++oy) {
        for (int64_t ox = 0; ox < p.ow; ++ox) {
            const int64_t window = oy * p.ow + ox, tap = winners[window];
            if (tap >= taps) continue;
            const int64_t y = oy * p.stride_h - p.top + down[tap], x = ox * p.stride_w - p.left + right[tap];
            if (y >= 0 && y < p.h && x >= 0 && x < p.w) f(window, y * p.w + x);
        }
    }
}

}  // namespace

void max_pool2d_grad(const Pool& p, const float* g, const uint8_t* winners, float* x_grad) {
    if (in_squares(p)) return squares_grad(p, g, winners, x_grad);
    const int64_t from = p.oh * p.ow, to = p.h * p.w;
    parallel_ranges(p.planes, grain_of_rows(from), [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const float* upstream = g + plane * from;
            float* grad = x_grad + plane * to;
            for (int64_t i = 0; i < to; ++i) grad[i] = 0;
            for_winners(p, winners + plane * from,
                        [=](int64_t window, int64_t place) { grad[place] += upstream[window]; });
        }
    });
}

void max_pool2d_take(const Pool& p, const float* x, const uint8_t* winners, float* out) {
    const int64_t from = p.h * p.w, to = p.oh * p.ow;
    parallel_ranges(p.planes, grain_of_rows(to), [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const float* seen = x + plane * from;
            float* taken = out + plane * to;
            for (int64_t i = 0; i < to; ++i) taken[i] = 0;
            for_winners(p, winners + plane * to,
                        [=](int64_t window, int64_t place) { taken[window] = seen[place]; });
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
