// Convolutions without stride whose maps are pooled in squares of 2x2.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// Whether it is expected to be faster than maps that are pooled afterwards.
bool squares_fit(const Conv& conv, const Pool& pool);

// Only where it fits. The maxima go through a leaky ReLU on their way to memory.
void forward_in_squares(const Conv& conv, const Pool& pool, const float* x, const float* w, const float* b, float* out,
                        uint8_t* winners, float slope);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
