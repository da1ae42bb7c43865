// Windows over images, as pooling slides them. A tap of some windows lies outside the image; it takes part in nothing.
#pragma once

#include "kernels.h"
#include "lanes.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

struct Range {
    int64_t first, end;
};

// Which of the taps start, start + dilation, ... are inside 0 .. size-1.
inline Range taps_inside(int64_t start, int64_t size, int64_t taps, int64_t dilation) {
    const int64_t first = start < 0 ? smaller(taps, ceil_div(-start, dilation)) : 0;
    const int64_t end = start < size ? smaller(taps, ceil_div(size - start, dilation)) : 0;
    return {first, larger(first, end)};
}

// Which windows of a row see nothing but the image.
inline Range whole_windows(const Pool& p) {
    const int64_t first = smaller(p.ow, ceil_div(p.left, p.stride_w));
    const int64_t last_start = p.w - 1 - (p.kw - 1) * p.dilation_w + p.left;  // in the padded row
    const int64_t end = last_start < 0 ? 0 : smaller(p.ow, last_start / p.stride_w + 1);
    return {first, larger(first, end)};
}

// 2 x 2 windows side by side: the most frequent pooling by far.
inline bool in_squares(const Pool& p) {
    return p.kh == 2 && p.kw == 2 && p.stride_h == 2 && p.stride_w == 2 && p.top == 0 && p.left == 0 &&
           p.dilation_h == 1 && p.dilation_w == 1 && p.oh == p.h / 2 && p.ow == p.w / 2 && p.oh > 0 && p.ow > 0;
}

// The gradient of a column and a row that no square has seen; `upper` is the upper one of the two rows behind window y.
inline void clear_behind_squares(const Pool& p, float* upper, int64_t y) {
    if (p.w % 2 == 1) upper[p.w - 1] = upper[2 * p.w - 1] = 0;
    if (p.h % 2 == 1 && y == p.oh - 1) {
        for (int64_t i = 0; i < p.w; ++i) upper[2 * p.w + i] = 0;
    }
}

// Rows (of all planes) that are worth a thread of their own.
inline int64_t grain_of_rows(int64_t elements_of_a_row) { return larger(1, 16384 / larger(1, elements_of_a_row)); }

// Calls f(row, plane, y) for the output rows begin .. end-1 of all planes; a division each would cost too much.
template <class F>
inline void for_rows(const Pool& p, int64_t begin, int64_t end, F&& f) {
    int64_t plane = begin / p.oh, y = begin % p.oh;
    for (int64_t row = begin; row < end; ++row) {
        f(row, plane, y);
        if (++y == p.oh) y = 0, ++plane;
    }
}

// Calls f.operator()<S>() with the horizontal stride as a constant, 0 for those that have no code of their own.
template <class F>
inline void with_stride(int64_t stride, F&& f) {
    if (stride == 1) {
        f.template operator()<1>();
    } else if (stride == 2) {
        f.template operator()<2>();
    } else {
        f.template operator()<0>();
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
