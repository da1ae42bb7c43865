// Exponentials of vectors. Errors are below 3 units in the last place, of the normal area below 5 and below 10 where it
// is less than 1e-4; NaN stays NaN, and nothing overflows on the way.
#pragma once

#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

// 2^n for whole numbers -126 <= n <= 127.
inline Vec power_of_two(Mask n) { return reinterpret_cast<Vec>((n + 127) << 23); }

// Adding it to a small number rounds to a whole one, which then stands in the last bits. Of a NaN it is any number.
constexpr float MAGIC = 12582912.0f;  // 1.5 * 2^23
inline Mask whole(Vec rounded) { return reinterpret_cast<Mask>(rounded) - 0x4b400000; }

// x = n ln 2 + r with |r| <= ln 2 / 2, so that e^x = 2^n e^r.
struct Parts {
    Vec r;
    Mask n;
};
inline Parts parts_of(Vec x) {
    const Vec rounded = x * 1.44269504088896341f + MAGIC, n = rounded - MAGIC;
    return {(x - n * 0.693359375f) - n * -2.12194440e-4f, whole(rounded)};  // ln 2 in two, the first exact in few bits
}

// e^r by a Taylor polynomial of degree 7.
inline Vec exp_of_rest(Vec r) {
    Vec p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    return p * (r * r) + r + 1.0f;
}

inline Vec exp(Vec x) {
    const Vec low = broadcast(-104.0f), high = broadcast(89.0f);  // beyond: 0 and infinity
    x = x < low ? low : x;
    x = x > high ? high : x;
    const Parts parts = parts_of(x);
    const Mask half = parts.n >> 1;  // -150 <= n <= 128 does not fit one factor
    return exp_of_rest(parts.r) * power_of_two(half) * power_of_two(parts.n - half);
}

// e^x for x <= 0 with less work: 0 where that is below the smallest normal number.
inline Vec exp_of_negative(Vec x) {
    const Parts parts = parts_of(x);
    return x < -87.0f ? Vec{} : exp_of_rest(parts.r) * power_of_two(parts.n);
}

// e^x - 1 for x <= 80: 2^n (e^r - 1) + (2^n - 1), exact near 0 where n is 0.
inline Vec expm1(Vec x) {
    x = x < -20.0f ? Vec{} - 20.0f : x;  // -1, rounded
    const Parts parts = parts_of(x);
    const Vec r = parts.r;
    Vec p = r * (1.0f / 40320) + 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r;
    const Vec scale = power_of_two(parts.n);
    return scale * p + (scale - 1.0f);
}

// log(1 + x) for 0 <= x <= 1: twice the area tangent of s = x / (2 + x) <= 1/3, by its series.
inline Vec log1p_of_share(Vec x) {
    const Vec s = x / (x + 2.0f), z = s * s;
    Vec p = z * (1.0f / 15) + 1.0f / 13;
    p = p * z + 1.0f / 11;
    p = p * z + 1.0f / 9;
    p = p * z + 1.0f / 7;
    p = p * z + 1.0f / 5;
    p = p * z + 1.0f / 3;
    return 2.0f * (s + s * z * p);
}

inline Vec absolute(Vec x) { return reinterpret_cast<Vec>(reinterpret_cast<Mask>(x) & 0x7fffffff); }

// With m = e^(2|x|) - 1: m / (m + 2), and the sign of x.
inline Vec tanh(Vec x) {
    Vec twice = absolute(x) * 2.0f;
    twice = twice > 20.0f ? Vec{} + 20.0f : twice;  // beyond: 1, rounded
    const Vec m = expm1(twice);
    const Mask sign = reinterpret_cast<Mask>(x) & static_cast<int32_t>(0x80000000);
    return reinterpret_cast<Vec>(reinterpret_cast<Mask>(m / (m + 2.0f)) | sign);
}

inline Vec sigmoid(Vec x) {
    const Vec e = exp(-absolute(x));  // never overflows
    return (x >= 0.0f ? Vec{} + 1.0f : e) / (e + 1.0f);
}

inline Vec softplus(Vec x) { return relu(x) + log1p_of_share(exp(-absolute(x))); }

// The normal distribution: the bell curve and the area under it to the left of x.
//
// With z = |x| / sqrt 2 the area of the tail is e^(-z^2) f(w) / (1 + 2 z), where w = 2 z / (z + 3) and f is smooth
// (M. Shepherd, J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", 1981); the polynomial was fitted
// to 1e-8. So as not to multiply the rounding of x^2, e^(-x^2 / 2) is taken of the upper half of the digits of x, whose
// square is exact, and of the rest.
struct Normal {
    Vec bell, area;
};
inline Normal normal(Vec x) {
    Vec a = absolute(x);
    a = a > 20.0f ? Vec{} + 20.0f : a;
    const Vec upper = reinterpret_cast<Vec>(reinterpret_cast<Mask>(a) & static_cast<int32_t>(0xfffff000));
    const Vec e = exp(upper * upper * -0.5f) * exp((a - upper) * (a + upper) * -0.5f);
    const Vec z = a * 0.707106781f, w = (z + z) / (z + 3.0f);
    Vec p = w * 1.56618052e-05f - 0.000262032238f;
    p = p * w + 0.00140307723f;
    p = p * w - 0.0024325596f;
    p = p * w - 0.00351556552f;
    p = p * w + 0.0107504242f;
    p = p * w + 0.0617090293f;
    p = p * w - 0.363040843f;
    p = p * w + 0.855156845f;
    p = p * w - 1.08699563f;
    p = p * w + 0.653715627f;
    p = p * w + 0.5f;
    const Vec tail = e * p / (z * 2.0f + 1.0f);
    return {e * 0.398942280f, x > 0.0f ? 1.0f - tail : tail};
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
