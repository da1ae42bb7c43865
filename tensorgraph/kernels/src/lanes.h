// Vectors of L floats for narrow rows: an image row of 13 does not fill a vector of 16, but two of 8 that overlap.
#pragma once

#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

template <int L>
struct Lanes {
    typedef float Floats __attribute__((vector_size(L * 4)));
    typedef int32_t Integers __attribute__((vector_size(L * 4)));
    typedef int16_t Shorts __attribute__((vector_size(L * 2)));
    typedef uint8_t Bytes __attribute__((vector_size(L)));
};
template <int L>
using Floats = typename Lanes<L>::Floats;
template <int L>
using Integers = typename Lanes<L>::Integers;

template <int L>
inline Floats<L> load_lanes(const float* p) {
    Floats<L> v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <int L>
inline void store_lanes(float* p, Floats<L> v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// Numbers 0 .. 255 as bytes in memory. Compilers convert wide vectors well by way of 16 bits, narrow ones in a loop.
template <int L>
inline Integers<L> load_bytes(const uint8_t* p) {
    if constexpr (L <= 4) {
        int32_t numbers[L];
        for (int i = 0; i < L; ++i) numbers[i] = p[i];
        Integers<L> v;
        __builtin_memcpy(&v, numbers, sizeof v);
        return v;
    } else {
        typename Lanes<L>::Bytes v;
        __builtin_memcpy(&v, p, sizeof v);
        return __builtin_convertvector(__builtin_convertvector(v, typename Lanes<L>::Shorts), Integers<L>);
    }
}
template <int L>
inline void store_bytes(uint8_t* __restrict p, Integers<L> v) {
    if constexpr (L <= 4) {
        int32_t numbers[L];
        __builtin_memcpy(numbers, &v, sizeof v);
        for (int i = 0; i < L; ++i) p[i] = static_cast<uint8_t>(numbers[i]);
    } else {
        const auto bytes =
            __builtin_convertvector(__builtin_convertvector(v, typename Lanes<L>::Shorts), typename Lanes<L>::Bytes);
        __builtin_memcpy(p, &bytes, sizeof bytes);
    }
}

template <int...>
struct Numbers {};

// Two vectors rearranged: lane I of the result is lane `position` of a and b in a row.
#define LANES_OF(name, position)                                                                                       \
    template <int L, int... I>                                                                                         \
    inline Floats<L> name(Floats<L> a, Floats<L> b, Numbers<I...>) {                                                   \
        return __builtin_shufflevector(a, b, (position)...);                                                           \
    }                                                                                                                  \
    template <int L>                                                                                                   \
    inline Floats<L> name(Floats<L> a, Floats<L> b) {                                                                  \
        return name<L>(a, b, Numbers<__integer_pack(L)...>{});                                                         \
    }
LANES_OF(evens, 2 * I)                                 // 0, 2, 4, ...
LANES_OF(odds, 2 * I + 1)                              // 1, 3, 5, ...
LANES_OF(zip_first, I / 2 + I % 2 * L)                 // a0 b0 a1 b1 ..., the first half
LANES_OF(zip_second, (I + L) / 2 + (I + L) % 2 * L)    // and the second
LANES_OF(next, I + 1)                                  // 1, 2, ... of a, then 0 of b
LANES_OF(evens_then_odds, I < L / 2 ? 2 * I : 2 * I + 1)  // 0, 2, ... of a, then 1, 3, ... of b
#undef LANES_OF

// Elements 0, S, 2 S, ... from p, and nothing behind the last; S = 0: a stride known only when it runs.
template <int L, int S>
inline Floats<L> load_strided(const float* p, int64_t stride) {
    if constexpr (S == 1 || L == 1) {
        return load_lanes<L>(p);
    } else if constexpr (S == 2) {
        const int last = L - 1;  // b begins one earlier than behind a, so as to end with the last element
        return evens_then_odds<L>(load_lanes<L>(p), load_lanes<L>(p + last));
    } else {
        Floats<L> v;
        for (int i = 0; i < L; ++i) v[i] = p[i * stride];
        return v;
    }
}

// Calls f.operator()<L>() with the most lanes that n elements fill, 1 for very few.
template <class F>
inline void with_lanes(int64_t n, F&& f) {
    if (n >= LANES) {
        f.template operator()<LANES>();
    } else if (n >= 8) {
        f.template operator()<(LANES < 8 ? LANES : 8)>();
    } else if (n >= 4) {
        f.template operator()<4>();
    } else {
        f.template operator()<1>();
    }
}

// Calls f(i) so that the pieces i .. i+L-1 cover begin .. end-1. The last one may overlap the one before.
template <int L, class F>
inline void cover(int64_t begin, int64_t end, F&& f) {
    int64_t i = begin;
    for (; i + L <= end; i += L) f(i);
    if (i < end) f(end - L);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
