// From planes to lanes and back: images keep a channel's pixels together, the kernels want the channels of a pixel in
// the lanes of a vector.
#pragma once

#include "transpose.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

// Vectors of lanes at [row][column] of a memory with `pitch` columns, counted as the pixels of an image of `width`.
struct Pixels {
    float* lanes;
    int64_t width, pitch;

    template <class Visit>
    void visit(int64_t first, int64_t count, Visit visit) const {
        const int64_t row = first / width, column = first - row * width;
        float* at = lanes + (row * pitch + column) * LANES;
        int64_t left = width - column;
        if (left >= count) {  // all in one row
#pragma GCC unroll 16
            for (int i = 0; i < LANES; ++i) {
                if (i >= count) break;
                visit(at + i * LANES, i);
            }
            return;
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; ++i) {
            if (i >= count) break;
            visit(at, i);
            at += LANES;
            if (--left == 0) at += (pitch - width) * LANES, left = width;
        }
    }
};

// planes[lane][pixel] -> pixels, for `lanes` planes at a distance of `stride`; zeros in the lanes behind.
inline void spread(const float* planes, int64_t stride, int64_t lanes, int64_t count, const Pixels& pixels) {
    for (int64_t p = 0; p < count; p += LANES) {
        if (count >= LANES) p = smaller(p, count - LANES);  // the last block overlaps the one before
        Vec v[LANES];
        if (lanes >= LANES && count >= LANES) {
#pragma GCC unroll 16
            for (int i = 0; i < LANES; ++i) v[i] = load(planes + i * stride + p);
        } else {
            const int part = static_cast<int>(smaller(LANES, count));
            for (int i = 0; i < LANES; ++i) {
                const float* at = planes + i * stride + p;
                v[i] = i >= lanes ? Vec{} : part == LANES ? load(at) : load_part(at, part);
            }
        }
        transpose(v);
        if (count >= LANES) {
            pixels.visit(p, LANES, [&](float* at, int i) { store(at, v[i]); });
        } else {
            pixels.visit(p, count, [&](float* at, int i) { store(at, v[i]); });
        }
    }
}

// pixels -> planes[lane][pixel], for the first `lanes` lanes.
inline void collect(const Pixels& pixels, int64_t count, float* planes, int64_t stride, int64_t lanes) {
    for (int64_t p = 0; p < count; p += LANES) {
        if (count >= LANES) p = smaller(p, count - LANES);
        Vec v[LANES] = {};
        if (count >= LANES) {
            pixels.visit(p, LANES, [&](float* at, int i) { v[i] = load(at); });
        } else {
            pixels.visit(p, count, [&](float* at, int i) { v[i] = load(at); });
        }
        transpose(v);
        if (lanes >= LANES && count >= LANES) {
#pragma GCC unroll 16
            for (int i = 0; i < LANES; ++i) store(planes + i * stride + p, v[i]);
        } else {
            const int part = static_cast<int>(smaller(LANES, count));
            for (int i = 0; i < LANES; ++i) {
                if (i >= lanes) break;
                float* at = planes + i * stride + p;
                part == LANES ? store(at, v[i]) : store_part(at, v[i], part);
            }
        }
    }
}

}  // namespace winograd
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
