// Average pooling and its gradient.
#include "activate.h"
#include "pool.h"
#include "window.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

void row_means(int64_t n, int64_t size, const float* x, float* out);         // in reduce.cpp
void row_means_grad(int64_t n, int64_t size, const float* g, float* x_grad);

namespace {

inline bool sees_all(const Pool& p) {
    return p.oh == 1 && p.ow == 1 && p.kh == p.h && p.kw == p.w && p.top == 0 && p.left == 0;
}

// How many elements along an axis a window divides by; what lies beyond the padding never counts.
inline int64_t length(int64_t start, int64_t taps, int64_t size, int64_t after, bool with_padding) {
    const int64_t end = smaller(start + taps, size + after);
    return with_padding ? end - start : smaller(end, size) - larger(start, 0);
}

inline int64_t height(const Pool& p, const Areas& areas, int64_t oy) {
    return length(oy * p.stride_h - p.top, p.kh, p.h, areas.bottom, areas.with_padding);
}
inline int64_t width(const Pool& p, const Areas& areas, int64_t ox) {
    return length(ox * p.stride_w - p.left, p.kw, p.w, areas.right, areas.with_padding);
}

// L neighbouring windows, the first of which begins at `x`; they have the taps `rows` and `columns` inside the image.
template <int L, int S>
inline void windows(const Pool& p, const float* x, Range rows, Range columns, float area, float* out) {
    Floats<L> sum{};
    for (int64_t i = rows.first; i < rows.end; ++i) {
        for (int64_t j = columns.first; j < columns.end; ++j) sum += load_strided<L, S>(x + (i * p.w + j), p.stride_w);
    }
    store_lanes<L>(out, sum / area);
}

// 2 x 2: two rows in, one out.
void squares(const Pool& p, const float* x, float* out) {
    parallel_ranges(p.planes * p.oh, grain_of_rows(4 * p.ow), [&](int64_t begin, int64_t end) {
        with_lanes(p.ow, [&]<int L>() {
            for_rows(p, begin, end, [&](int64_t row, int64_t plane, int64_t y) {
                const float* upper = x + (plane * p.h + 2 * y) * p.w;
                cover<L>(0, p.ow, [=, w = p.w, to = out + row * p.ow](int64_t i) {
                    const float *first = upper + 2 * i, *second = first + w;
                    const Floats<L> a = load_lanes<L>(first), b = load_lanes<L>(first + L);
                    const Floats<L> c = load_lanes<L>(second), d = load_lanes<L>(second + L);
                    const Floats<L> sum = evens<L>(a, b) + odds<L>(a, b) + evens<L>(c, d) + odds<L>(c, d);
                    store_lanes<L>(to + i, sum * 0.25f);
                });
            });
        });
    });
}

}  // namespace

void avg_pool2d(const Pool& p, const Areas& areas, const float* x, float* out) {
    if (sees_all(p)) return row_means(p.planes, p.h * p.w, x, out);
    if (in_squares(p)) return squares(p, x, out);
    const Range whole = whole_windows(p), all = {0, p.kw};
    parallel_ranges(p.planes * p.oh, grain_of_rows(p.ow * p.kh * p.kw), [&](int64_t begin, int64_t end) {
        for_rows(p, begin, end, [&](int64_t row, int64_t plane, int64_t y) {
            const int64_t start = y * p.stride_h - p.top, high = height(p, areas, y);
            const Range rows = taps_inside(start, p.h, p.kh, 1);
            const auto some = [&]<int L, int S>(int64_t o, Range columns, int64_t wide) {
                const float* from = x + ((plane * p.h + start) * p.w + o * p.stride_w - p.left);
                windows<L, S>(p, from, rows, columns, static_cast<float>(high * wide), out + row * p.ow + o);
            };
            const auto edge = [&](int64_t o) {
                const Range columns = taps_inside(o * p.stride_w - p.left, p.w, p.kw, 1);
                some.template operator()<1, 1>(o, columns, width(p, areas, o));
            };
            for (int64_t o = 0; o < whole.first; ++o) edge(o);
            with_stride(p.stride_w, [&]<int S>() {
                with_lanes(whole.end - whole.first, [&]<int L>() {
                    cover<L>(whole.first, whole.end, [&](int64_t o) { some.template operator()<L, S>(o, all, p.kw); });
                });
            });
            for (int64_t o = whole.end; o < p.ow; ++o) edge(o);
        });
    });
}

// --- the gradient --------------------------------------------------------------------------------------------------------

namespace {

// One row of gradients becomes two rows, each element four.
void squares_grad(const Pool& p, const float* g, float* x_grad) {
    parallel_ranges(p.planes * p.oh, grain_of_rows(4 * p.ow), [&](int64_t begin, int64_t end) {
        with_lanes(p.ow, [&]<int L>() {
            for_rows(p, begin, end, [&](int64_t row, int64_t plane, int64_t y) {
                float* upper = x_grad + (plane * p.h + 2 * y) * p.w;
                cover<L>(0, p.ow, [=, w = p.w, from = g + row * p.ow](int64_t i) {
                    const Floats<L> share = load_lanes<L>(from + i) * 0.25f;
                    const Floats<L> a = zip_first<L>(share, share), b = zip_second<L>(share, share);
                    float *first = upper + 2 * i, *second = first + w;
                    store_lanes<L>(first, a);
                    store_lanes<L>(first + L, b);
                    store_lanes<L>(second, a);
                    store_lanes<L>(second + L, b);
                });
                clear_behind_squares(p, upper, y);
            });
        });
    });
}

}  // namespace

void avg_pool2d_grad(const Pool& p, const Areas& areas, const float* g, float* x_grad) {
    if (sees_all(p)) return row_means_grad(p.planes, p.h * p.w, g, x_grad);
    if (in_squares(p)) return squares_grad(p, g, x_grad);
    parallel_ranges(p.planes, grain_of_rows(larger(p.oh * p.ow, p.h * p.w)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * p.h * p.w; i < end * p.h * p.w; ++i) x_grad[i] = 0;
        for_rows(p, begin * p.oh, end * p.oh, [&](int64_t row, int64_t plane, int64_t y) {
            const int64_t start = y * p.stride_h - p.top, high = height(p, areas, y);
            const Range rows = taps_inside(start, p.h, p.kh, 1);
            float* grad = x_grad + (plane * p.h + start) * p.w;
            for (int64_t o = 0; o < p.ow; ++o) {
                const int64_t left = o * p.stride_w - p.left;
                const Range columns = taps_inside(left, p.w, p.kw, 1);
                const float share = g[row * p.ow + o] / static_cast<float>(high * width(p, areas, o));
                for (int64_t i = rows.first; i < rows.end; ++i) {
                    for (int64_t j = columns.first; j < columns.end; ++j) grad[i * p.w + left + j] += share;
                }
            }
        });
    });
}

// A few planes at a time, which the activation's gradient then finds in the cache.
void pooled_activation_grad(const Pool& p, const Areas& areas, const float* g, const float* maps, float* x_grad,
                            Activation act) {
    constexpr int64_t NEAR = 4096;
    const int64_t from = p.oh * p.ow, to = p.h * p.w, together = larger(1, NEAR / larger(1, to));
    const int64_t groups = ceil_div(p.planes, together);
    parallel_ranges(groups, grain_of_rows(together * to), [&](int64_t begin, int64_t end) {
        for (int64_t group = begin; group < end; ++group) {
            const int64_t first = group * together;
            Pool some = p;
            some.planes = smaller(together, p.planes - first);
            avg_pool2d_grad(some, areas, g + first * from, x_grad + first * to);
            activate_grad(act, some.planes * to, maps + first * to, x_grad + first * to);
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
