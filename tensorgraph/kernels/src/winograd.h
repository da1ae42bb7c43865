// Convolutions of stride 1 by Winograd's algorithm: 2.25 or 4 times fewer products under 3x3 filters (with tiles of 2x2
// or 4x4 outputs), 2.8 times fewer under 5x5 filters (2x2).
//
// It pays with many channels. It rounds more than the sum it replaces: up to 3e-6 of the largest value. An infinite or
// NaN input makes all outputs of the tiles that see it NaN.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// The channels of the images are phases of larger images of h x w: step_h * step_w neighbours are the phases of a channel.
// Pixel (y, x) of phase (i, j) is pixel (y * step_h + i - top, x * step_w + j - left) of the channel, zero outside.
struct Phases {
    int64_t h, w, step_h, step_w, top, left;
};

// The tiles (2 or 4) with which it is expected to be faster than the direct kernel; 0 if it is not, or cannot be used.
int64_t winograd_tile(const Conv& conv);
inline bool winograd_fits(const Conv& conv) { return winograd_tile(conv) != 0; }

// The convolution that gives the input gradient.
inline Conv input_grad_of(const Conv& v) {
    return {v.n, v.f, v.oh, v.ow, v.c, v.kh, v.kw, v.h, v.w, 1, 1, v.kh - 1 - v.top, v.kw - 1 - v.left, 1, 1, 1};
}

// Only where it fits. With `phases`, x and its gradient are the larger images.
void winograd_forward(const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act,
                      const Phases* phases = nullptr);
void winograd_input_grad(const Conv& conv, const float* g, const float* w, float* out, const Phases* phases = nullptr);
void winograd_weight_grad(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad,
                          const Phases* phases = nullptr);

// The same with tiles in the lanes, not channels: for few channels. Filters of 3x3, with tiles of 4x4, or 5x5.
namespace flat {
void forward(const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act);
void forward_in_squares(const Conv& conv, const Pool& pool, const float* x, const float* w, const float* b, float* out,
                        uint8_t* winners, float slope);  // filters of 5x5
void input_grad(const Conv& conv, const float* g, const float* w, float* out);
}  // namespace flat

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
