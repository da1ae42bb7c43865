// The maximum of a window, as it is found lane by lane, and its way back.
#pragma once

#include "lanes.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// The first maximum so far: a later value must be larger. NaN is larger than any number, the first one stays.
template <int L>
struct Best {
    Floats<L> value;
    Integers<L> tap;

    void meet(Floats<L> x, int32_t number) {
        const Integers<L> better = ~(x <= value) & (value == value);
        value = better ? x : value;
        tap = better ? Integers<L>{} + number : tap;
    }

    // Of a leaky ReLU of the maximum. With a slope of 0, which is ReLU, nobody wins what is cut off: no gradient passes.
    void leak(float slope, int32_t nobody) {
        if (slope == 0.0f) {
            const Integers<L> cut = value <= 0.0f;
            value = cut ? Floats<L>{} : value;
            tap = cut ? Integers<L>{} + nobody : tap;
        } else {
            value = value > 0.0f ? value : value * slope;
        }
    }
};

// The gradients of L squares side by side go to their winners, and zeros to the others.
template <int L>
inline void store_squares(Floats<L> g, const uint8_t* winners, float* upper, int64_t pitch) {
    const Integers<L> tap = load_bytes<L>(winners);
    const Floats<L> zero{}, a = tap == 0 ? g : zero, b = tap == 1 ? g : zero, c = tap == 2 ? g : zero, d = tap == 3 ? g : zero;
    store_lanes<L>(upper, zip_first<L>(a, b));
    store_lanes<L>(upper + L, zip_second<L>(a, b));
    store_lanes<L>(upper + pitch, zip_first<L>(c, d));
    store_lanes<L>(upper + pitch + L, zip_second<L>(c, d));
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
