// The linear maps of Winograd's minimal convolutions. A tile of M outputs under a filter of R taps is a product of
// polynomials, known from its values at T = M + R - 1 points:
//
//     outputs = Output [ (Weight g) * (Input d) ]       d: T inputs, g: R taps, * element by element
//
// In two dimensions every map is applied to the columns and then to the rows. The gradients use the transposed maps.
#pragma once

#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace winograd {

// Applies a map to both axes: reads load(row, column), writes store(row, column, value).
template <class Map, class Load, class Store>
inline void transform(Load load, Store store) {
    Vec half[Map::OUT][Map::IN];
#pragma GCC unroll 8
    for (int j = 0; j < Map::IN; ++j) {
        Vec in[Map::IN], out[Map::OUT];
#pragma GCC unroll 8
        for (int i = 0; i < Map::IN; ++i) in[i] = load(i, j);
        Map::apply(in, out);
#pragma GCC unroll 8
        for (int i = 0; i < Map::OUT; ++i) half[i][j] = out[i];
    }
#pragma GCC unroll 8
    for (int i = 0; i < Map::OUT; ++i) {
        Vec out[Map::OUT];
        Map::apply(half[i], out);
#pragma GCC unroll 8
        for (int j = 0; j < Map::OUT; ++j) store(i, j, out[j]);
    }
}

// The points 0, a, -a, b, -b, infinity. With a = 1/sqrt(2) and b = sqrt(2) = 1/a the rounding error is a third of that
// with 1 and 2: no power of a point is far from 1.
constexpr float A = 0.70710678118654752f, B = 1.41421356237309505f;
constexpr float A2 = 0.5f, B2 = 2.0f, A3 = A * A2, B3 = B * B2, A4 = A2 * A2, B4 = B2 * B2;

// The denominators of the weights: at p, the product of p's distances to the other finite points; at 0 it is 1.
constexpr float NA = 2 * A2 * (A2 - B2), NB = 2 * B2 * (B2 - A2);

// 6 inputs -> their values at the six points: coefficients of the product of (x - q) over the other points q.
struct Input6 {
    static constexpr int IN = 6, OUT = 6;
    static void apply(const Vec* d, Vec* t) {
        const Vec even_a = d[4] - B2 * d[2], odd_a = A * (d[3] - B2 * d[1]);
        const Vec even_b = d[4] - A2 * d[2], odd_b = B * (d[3] - A2 * d[1]);
        t[0] = (d[0] - (A2 + B2) * d[2]) + d[4];
        t[1] = even_a + odd_a;
        t[2] = even_a - odd_a;
        t[3] = even_b + odd_b;
        t[4] = even_b - odd_b;
        t[5] = (d[1] - (A2 + B2) * d[3]) + d[5];
    }
};

// Six points: 4 outputs under 3 taps, F(4, 3), or 2 outputs under 5 taps, F(2, 5).
template <int OUTPUTS>
struct SixPoints {
    static constexpr int M = OUTPUTS, R = 7 - OUTPUTS, T = 6;
    static_assert(M == 4 || M == 2);
    using Input = Input6;

    // y[i] = the sum of point^i t; infinity counts for the last one only.
    struct Output {
        static constexpr int IN = 6, OUT = M;
        static void apply(const Vec* t, Vec* y) {
            const Vec even_a = t[1] + t[2], odd_a = t[1] - t[2], even_b = t[3] + t[4], odd_b = t[3] - t[4];
            y[0] = t[0] + (even_a + even_b);
            y[1] = A * odd_a + B * odd_b;
            if constexpr (M == 4) {
                y[2] = A2 * even_a + B2 * even_b;
                y[3] = A3 * odd_a + B3 * odd_b;
            }
            y[M - 1] += t[5];
        }
    };

    // Output, transposed: the values of the polynomial with coefficients y.
    struct OutputGrad {
        static constexpr int IN = M, OUT = 6;
        static void apply(const Vec* y, Vec* t) {
            Vec even_a = y[0], even_b = y[0], odd_a = A * y[1], odd_b = B * y[1];
            if constexpr (M == 4) {
                even_a += A2 * y[2], even_b += B2 * y[2];
                odd_a += A3 * y[3], odd_b += B3 * y[3];
            }
            t[0] = y[0];
            t[1] = even_a + odd_a;
            t[2] = even_a - odd_a;
            t[3] = even_b + odd_b;
            t[4] = even_b - odd_b;
            t[5] = y[M - 1];
        }
    };

    // t = the sum of point^k g[k], over the denominator.
    struct Weight {
        static constexpr int IN = R, OUT = 6;
        static void apply(const Vec* g, Vec* t) {
            Vec even_a = g[0] * (1 / NA) + (A2 / NA) * g[2], even_b = g[0] * (1 / NB) + (B2 / NB) * g[2];
            Vec odd_a = (A / NA) * g[1], odd_b = (B / NB) * g[1];
            if constexpr (R == 5) {
                even_a += (A4 / NA) * g[4], even_b += (B4 / NB) * g[4];
                odd_a += (A3 / NA) * g[3], odd_b += (B3 / NB) * g[3];
            }
            t[0] = g[0];
            t[1] = even_a + odd_a;
            t[2] = even_a - odd_a;
            t[3] = even_b + odd_b;
            t[4] = even_b - odd_b;
            t[5] = g[R - 1];
        }
    };

    // Weight, transposed.
    struct WeightGrad {
        static constexpr int IN = 6, OUT = R;
        static void apply(const Vec* t, Vec* g) {
            const Vec even_a = (t[1] + t[2]) * (1 / NA), odd_a = (t[1] - t[2]) * (1 / NA);
            const Vec even_b = (t[3] + t[4]) * (1 / NB), odd_b = (t[3] - t[4]) * (1 / NB);
            g[0] = t[0] + (even_a + even_b);
            g[1] = A * odd_a + B * odd_b;
            g[2] = A2 * even_a + B2 * even_b;
            if constexpr (R == 5) {
                g[3] = A3 * odd_a + B3 * odd_b;
                g[4] = A4 * even_a + B4 * even_b;
            }
            g[R - 1] += t[5];
        }
    };
};

// The points 0, 1, -1, infinity: 2 outputs under 3 taps, F(2, 3).
struct FourPoints {
    static constexpr int M = 2, R = 3, T = 4;
    struct Input {
        static constexpr int IN = 4, OUT = 4;
        static void apply(const Vec* d, Vec* t) {
            t[0] = d[0] - d[2];
            t[1] = d[1] + d[2];
            t[2] = d[2] - d[1];
            t[3] = d[3] - d[1];
        }
    };
    struct Output {
        static constexpr int IN = 4, OUT = 2;
        static void apply(const Vec* t, Vec* y) {
            y[0] = t[0] + (t[1] + t[2]);
            y[1] = (t[1] - t[2]) + t[3];
        }
    };
    struct OutputGrad {
        static constexpr int IN = 2, OUT = 4;
        static void apply(const Vec* y, Vec* t) {
            t[0] = y[0];
            t[1] = y[0] + y[1];
            t[2] = y[0] - y[1];
            t[3] = y[1];
        }
    };
    struct Weight {
        static constexpr int IN = 3, OUT = 4;
        static void apply(const Vec* g, Vec* t) {
            const Vec even = 0.5f * (g[0] + g[2]), odd = 0.5f * g[1];
            t[0] = g[0];
            t[1] = even + odd;
            t[2] = even - odd;
            t[3] = g[2];
        }
    };
    struct WeightGrad {
        static constexpr int IN = 4, OUT = 3;
        static void apply(const Vec* t, Vec* g) {
            const Vec even = 0.5f * (t[1] + t[2]), odd = 0.5f * (t[1] - t[2]);
            g[0] = t[0] + even;
            g[1] = odd;
            g[2] = even + t[3];
        }
    };
};

}  // namespace winograd
}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
