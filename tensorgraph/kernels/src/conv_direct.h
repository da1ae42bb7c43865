// Convolutions by their definition, for all settings.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// With `pool`, `out` and `winners` are what is left of the maps when they are pooled.
void direct_forward(const Conv& conv, const Pool* pool, const float* x, const float* w, const float* b, float* out,
                    uint8_t* winners, Activation act);
void direct_input_grad(const Conv& conv, const float* g, const float* w, float* out);
void direct_weight_grad(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
