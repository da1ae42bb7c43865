// Exponentials of vectors. Errors are below 2 units in the last place; NaN stays NaN, and nothing overflows on the way.
#pragma once

#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// 2^n for whole numbers -126 <= n <= 127.
inline Vec power_of_two(Mask n) { return reinterpret_cast<Vec>((n + 127) << 23); }

// e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2, where a Taylor polynomial of degree 7 is enough.
inline Vec exp(Vec x) {
    const Vec low = broadcast(-104.0f), high = broadcast(89.0f);  // beyond: 0 and infinity
    x = x < low ? low : x;
    x = x > high ? high : x;
    const Vec magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Vec n = (x * 1.44269504088896341f + magic) - magic;
    const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln 2 in two parts, the first exact in few bits
    Vec p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    const Vec whole = n == n ? n : Vec{};  // a NaN has no integer; p has kept it
    const Mask k = __builtin_convertvector(whole, Mask);
    const Mask half = k >> 1;  // -150 <= k <= 128 does not fit one factor
    return p * power_of_two(half) * power_of_two(k - half);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
