// Activations of results that are still in the cache, in place: a convolution's maps, the rows of a product. ReLU is so
// cheap that those apply it in registers (`in_registers`); code for the others in every loop that stores would be long.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

inline Activation in_registers(Activation act) { return act == RELU ? RELU : NONE; }
inline Activation in_cache(Activation act) { return act == RELU ? NONE : act; }

inline Vec activated(Vec x, Activation act) { return act == RELU ? relu(x) : x; }  // in registers

void activate(Activation act, int64_t n, float* x);
void activate_grad(Activation act, int64_t n, const float* out, float* g);  // out: what the activation gave

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
