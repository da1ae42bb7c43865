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

// Only where it fits. With `phases`, x and its gradient are the larger images.
void winograd_forward(const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act,
                      const Phases* phases = nullptr);
void winograd_input_grad(const Conv& conv, const float* g, const float* w, float* out, const Phases* phases = nullptr);
void winograd_weight_grad(const Conv& conv, const float* g, const float* x, float* out, float* bias_grad,
                          const Phases* phases = nullptr);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
