// Images between zeros: wherever a tap of a window is, there is something to be read.
#pragma once

#include "kernels.h"
#include "lanes.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// The planes of an image lie one behind the other, with zeros above, below and at the ends of rows, where they serve
// the end of one row and the beginning of the next. Behind them is a plane of ones: what sees it sums up.
struct Planes {
    int64_t left, top, pitch;  // where the image is in a plane: behind `left` floats and `top` rows of `pitch`
    int64_t plane, ones, size; // floats of a plane; where the ones begin; floats of all planes

    // The outputs of a row see places that are stride_w floats apart, those of a column stride_h * pitch.
    explicit Planes(const Conv& v)
        : left(v.left), top(v.top),
          pitch(larger(larger(v.w + v.left, (v.ow - 1) * v.stride_w + (v.kw - 1) * v.dilation_w + 1 - v.left), v.ow)),
          plane(larger(v.h + v.top, (v.oh - 1) * v.stride_h + (v.kh - 1) * v.dilation_h + 1) * pitch),
          ones(v.c / v.groups * plane + v.left), size(ones + plane + LANES) {}

    // Of tap r, s in channel c, from the place of the output.
    int64_t offset(const Conv& v, int64_t c, int64_t r, int64_t s) const {
        return c * plane + r * v.dilation_h * pitch + s * v.dilation_w;
    }
};

// `rows` rows of `width` floats, `pitch` apart in `to`.
inline void copy_rows(const float* from, int64_t rows, int64_t width, int64_t pitch, float* to) {
    with_lanes(width, [=]<int L>() {
        for (int64_t y = 0; y < rows; ++y) {
            cover<L>(0, width, [a = from + y * width, b = to + y * pitch](int64_t i) {
                store_lanes<L>(b + i, load_lanes<L>(a + i));
            });
        }
    });
}

// Rows of `width` elements, `pitch` apart in `from`, to one behind the other. Whole vectors are stored: what they leave
// behind a row is written over by the next one.
template <class T>
inline void close_rows(const T* from, int64_t rows, int64_t width, int64_t pitch, T* to) {
    const T* const end = to + rows * width;
    for (int64_t y = 0; y < rows; ++y, from += pitch, to += width) {
        for (int64_t i = 0; i < width; i += LANES) {
            if (end - (to + i) >= LANES) {
                __builtin_memcpy(to + i, from + i, LANES * sizeof(T));
            } else {
                __builtin_memcpy(to + i, from + i, static_cast<size_t>(smaller(LANES, width - i)) * sizeof(T));
            }
        }
    }
}

// Zeros and ones, for any number of images that are put there.
inline void clear(const Planes& p, float* to) {
    __builtin_memset(to, 0, static_cast<size_t>(p.ones) * sizeof(float));
    for (int64_t i = p.ones; i < p.size; ++i) to[i] = 1;
}

// The channels of a group of image n.
inline void put_image(const Planes& p, const Conv& v, const float* x, int64_t n, int64_t group, float* to) {
    const int64_t channels = v.c / v.groups;
    for (int64_t c = 0; c < channels; ++c) {
        copy_rows(x + ((n * v.groups + group) * channels + c) * v.h * v.w, v.h, v.w, p.pitch,
                  to + p.left + c * p.plane + p.top * p.pitch);
    }
}

// Whether the planes are of a size for which this pays, and nothing overflows.
inline bool planes_fit(const Conv& v) {
    constexpr int64_t MOST = 1 << 16;
    if (v.oh * v.ow * v.f == 0 || larger(larger(v.c, v.f), larger(v.kh, v.kw)) > MOST) return false;
    if (larger(v.h, v.oh * smaller(v.stride_h, MOST)) + v.top + v.kh * v.dilation_h > MOST) return false;
    if (larger(v.w, v.ow * smaller(v.stride_w, MOST)) + v.left + v.kw * v.dilation_w > MOST) return false;
    return Planes(v).size <= 1 << 20;
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
