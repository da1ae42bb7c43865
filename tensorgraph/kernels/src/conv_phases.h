// Strided convolutions as convolutions without stride, over the phases of the images: pixels whose rows, and whose columns,
// leave the same remainder when divided by the stride. Phases are channels: an image has stride_h * stride_w times as many,
// and a filter of 6x6 taps with stride 2 becomes one of 3x3 taps. That makes room for Winograd's algorithm, and fills the
// lanes that few channels leave empty.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// Whether it is expected to be faster, with Winograd's algorithm.
bool phases_fit(const Conv& conv);

// Only where it fits.
void phases_forward(const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act);
void phases_input_grad(const Conv& conv, const float* g, const float* w, float* out);
void phases_weight_grad(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
