// Ways to the weight gradient that are faster for some convolutions.
#pragma once

#include "conv.h"
#include "lanes.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// What became of the maps, where they were pooled: the gradients of the maxima, and the winners. `out` are the maxima after
// a leaky ReLU, through which the gradients still have to go; nullptr: there was none, or nobody won what it cut off.
struct Pooled {
    const Pool& pool;
    const float* g;
    const uint8_t* winners;
    const float* out;
    float slope;

    template <int L>
    Floats<L> gradients(int64_t i) const {
        const Floats<L> upstream = load_lanes<L>(g + i);
        if (out == nullptr) return upstream;
        return load_lanes<L>(out + i) > 0.0f ? upstream : upstream * slope;
    }
};

// Lanes are pixels: for few filters, which would leave lanes of a vector without work, and for few taps, where turning
// the gradient so that lanes are filters would cost more than the sums.
bool lanes_are_pixels(const Conv& conv);  // it can be used, and is expected to be faster

// Only where it can. False if something is not finite: zeros between the rows may have met it, so `out` and `bias_grad`
// are to be computed in another way. With `pooled`, which then is in squares, g is not needed.
bool weight_grad_by_pixels(const Conv& conv, const float* g, const Pooled* pooled, const float* x, float* out,
                           float* bias_grad);

// Only winners: for maps that were pooled and have but few gradients that are not zero. Lanes are taps of a filter row.
bool winners_are_few(const Conv& conv, const Pool& pool);  // it can be used, and is expected to be faster

// Only where it can. False if an image is not finite, which gradients that are zero would have to meet.
bool weight_grad_of_winners(const Conv& conv, const Pooled& pooled, const float* x, float* out, float* bias_grad);

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
