// Average pooling and its gradient.
#include "pool.h"
#include "window.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

namespace {

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

}  // namespace

void avg_pool2d(const Pool& p, const Areas& areas, const float* x, float* out) {
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

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
