// LANES x LANES blocks of floats, rows to columns.
#pragma once

#include <utility>

#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// a0 b0 a1 b1 ... of the lower halves, or of the upper ones.
template <int FIRST, int... I>
inline Vec zip(Vec a, Vec b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (FIRST + I / 2 + I % 2 * LANES)...);
}

// Each step deals the rows of the two halves out in turn, as a riffle shuffle does; log2(LANES) of them transpose.
inline void transpose(Vec (&rows)[LANES]) {
    using All = std::make_integer_sequence<int, LANES>;
#pragma GCC unroll 8
    for (int step = 1; step < LANES; step *= 2) {
        Vec dealt[LANES];
#pragma GCC unroll 16
        for (int i = 0; i < LANES / 2; ++i) {
            dealt[2 * i] = zip<0>(rows[i], rows[i + LANES / 2], All{});
            dealt[2 * i + 1] = zip<LANES / 2>(rows[i], rows[i + LANES / 2], All{});
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; ++i) rows[i] = dealt[i];
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
