// What the direct convolution kernels share: blocks of filters, and images whose rows can be read past their ends.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

constexpr int BLOCK = 2 * LANES;  // channels that are computed together, one a lane

// The rows of an image with zeros on the left and on the right, from the first element on: copied into `room` (rows *
// (left + width + right) floats), or the image itself where none are needed. There are no zeros above and below: kernels
// leave those rows out.
inline const float* padded(const float* image, int64_t rows, int64_t width, int64_t left, int64_t right, float* room) {
    if (left == 0 && right == 0) return image;
    float* to = room;
    for (int64_t row = 0; row < rows; ++row, image += width) {
        for (int64_t i = 0; i < left; ++i) *to++ = 0;
        __builtin_memcpy(to, image, static_cast<size_t>(width) * sizeof(float));
        to += width;
        for (int64_t i = 0; i < right; ++i) *to++ = 0;
    }
    return room + left;
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
