// What moves floats between lanes: rows to panels, and the sums of all lanes.
#pragma once

#include "transpose.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// Lane i of the result is lane select(i) of the two vectors laid end to end.
template <class F>
inline Mask lanes(F select) {
    Mask mask{};
    for (int i = 0; i < LANES; ++i) mask[i] = select(i);
    return mask;
}

// Lane i of the result is the sum of all lanes of v[i].
template <int S = 1>
inline Vec totals(Vec (&v)[LANES]) {
    const Mask even = lanes([](int i) { return i & S ? LANES + i - S : i; });
    const Mask odd = lanes([](int i) { return i & S ? LANES + i : i + S; });
    for (int i = 0; i < LANES; i += 2 * S) {
        v[i] = __builtin_shuffle(v[i], v[i + S], even) + __builtin_shuffle(v[i], v[i + S], odd);
    }
    if constexpr (2 * S < LANES) return totals<2 * S>(v);
    return v[0];
}

// to[k * step + i] = from[i * stride + k] for i < rows <= LANES and k < depth. What is stored behind `rows` is written
// over by the next k: vectors are stored whole, so up to LANES - rows floats behind the last are changed, too.
inline void transpose_rows(const float* from, int64_t stride, int rows, int64_t depth, float* to, int64_t step) {
    int64_t k = 0;
    for (; k + LANES <= depth; k += LANES) {
        Vec v[LANES];
        for (int i = 0; i < LANES; ++i) v[i] = i < rows ? load(from + i * stride + k) : Vec{};
        transpose(v);
        for (int i = 0; i < LANES; ++i) store(to + (k + i) * step, v[i]);
    }
    for (; k < depth; ++k) {
        Vec v{};
        for (int i = 0; i < rows; ++i) v[i] = from[i * stride + k];
        store(to + k * step, v);
    }
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
