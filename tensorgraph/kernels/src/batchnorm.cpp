// Batch normalization in training: n images of c channels of `size` elements. A thread takes whole channels, which then
// stay in its cache from pass to pass. Sums are taken around the mean.
#include <math.h>

#include "kernels.h"
#include "map.h"
#include "sums.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

namespace {

inline void save(float* p, Vec v, int count) {
    if (count == LANES) return store(p, v);
    store_part(p, v, count);
}

struct Sums {
    double first, second;
};
struct Two {
    Vec first, second;
};

// The sums over a channel of the two vectors that f(at, count) returns.
template <class F>
inline Sums over_channel(const BatchNorm& s, int64_t channel, F&& f) {
    LongSum first, second;
    for (int64_t image = 0; image < s.n; ++image) {
        const int64_t row = (image * s.c + channel) * s.size;
        along_in_parts(
            s.size,
            [&](int64_t i, int count, int chain) {
                const Two values = f(row + i, count);
                first.add(chain, values.first);
                second.add(chain, values.second);
            },
            [&](int64_t vectors) {
                first.settle(vectors);
                second.settle(vectors);
            });
    }
    return {first.total(), second.total()};
}

template <class F>
inline void through_channel(const BatchNorm& s, int64_t channel, F&& f) {
    for (int64_t image = 0; image < s.n; ++image) {
        const int64_t row = (image * s.c + channel) * s.size;
        along(s.size, [&](int64_t i, int count, int) { f(row + i, count); });
    }
}

// The same for images of one element, whose channels are neighbours: LANES channels at a time.
template <class F>
inline Two over_rows(const BatchNorm& s, int64_t channel, int count, F&& f) {
    Two total{};
    for (int64_t start = 0; start < s.n; start += 256) {  // long sums in parts
        Two part{};
        for (int64_t image = start; image < smaller(s.n, start + 256); ++image) {
            const Two values = f(image * s.c + channel, count);
            part.first += values.first;
            part.second += values.second;
        }
        total.first += part.first;
        total.second += part.second;
    }
    return total;
}

inline Vec root(Vec v) {
    for (int i = 0; i < LANES; ++i) v[i] = sqrtf(v[i]);
    return v;
}

// Calls f(begin, end) for ranges of channels.
template <class F>
inline void by_channels(const BatchNorm& s, F&& f) {
    parallel_ranges(s.c, larger(1, LIGHT / larger(1, s.n * s.size)), f);
}

// Calls f(channel, count) for groups of at most LANES channels.
template <class F>
inline void by_groups(const BatchNorm& s, F&& f) {
    parallel_ranges(ceil_div(s.c, LANES), larger(1, LIGHT / LANES / larger(1, s.n)), [&](int64_t begin, int64_t end) {
        for (int64_t group = begin; group < end; ++group) {
            f(group * LANES, static_cast<int>(smaller(LANES, s.c - group * LANES)));
        }
    });
}

void of_vectors(const BatchNorm& s, const float* x, const float* weight, const float* bias, float* out, float* means,
                float* vars) {
    const Vec one = broadcast(1.0f), zero{};
    by_groups(s, [&](int64_t channel, int count) {
        const float scale = 1.0f / static_cast<float>(s.n);
        const Vec shift = load_with(x + channel, count, zero);
        const Two sums = over_rows(s, channel, count, [&](int64_t at, int n) {
            return Two{load_with(x + at, n, zero) - shift, zero};
        });
        const Vec mean = shift + sums.first * scale;
        const Two squares = over_rows(s, channel, count, [&](int64_t at, int n) {
            const Vec d = load_with(x + at, n, zero) - mean;
            return Two{d, d * d};
        });
        const Vec rest = squares.first * scale, var = squares.second * scale - rest * rest;
        Vec slope = 1.0f / root(var + s.eps), offset = zero;
        if (weight != nullptr) slope *= load_with(weight + channel, count, one);
        if (bias != nullptr) offset = load_with(bias + channel, count, zero);
        for (int64_t at = channel; at < s.n * s.c; at += s.c) {
            save(out + at, (load_with(x + at, count, zero) - mean) * slope + offset, count);
        }
        save(means + channel, mean, count);
        save(vars + channel, var, count);
    });
}

void of_vectors_grad(const BatchNorm& s, const float* g, const float* x, const float* weight, const float* means,
                     const float* vars, float* x_grad, float* weight_grad, float* bias_grad) {
    const Vec one = broadcast(1.0f), zero{};
    by_groups(s, [&](int64_t channel, int count) {
        const float scale = 1.0f / static_cast<float>(s.n);
        const Vec mean = load_with(means + channel, count, zero);
        const Vec inverse = 1.0f / root(load_with(vars + channel, count, one) + s.eps);
        const Two sums = over_rows(s, channel, count, [&](int64_t at, int n) {
            const Vec u = load_with(g + at, n, zero);
            return Two{u, u * (load_with(x + at, n, zero) - mean)};
        });
        const Vec along_unit = sums.second * inverse;
        const Vec slope = inverse * (weight == nullptr ? one : load_with(weight + channel, count, one));
        for (int64_t at = channel; at < s.n * s.c; at += s.c) {
            const Vec unit = (load_with(x + at, count, zero) - mean) * inverse, u = load_with(g + at, count, zero);
            save(x_grad + at, slope * (u - (sums.first + unit * along_unit) * scale), count);
        }
        save(weight_grad + channel, along_unit, count);
        save(bias_grad + channel, sums.first, count);
    });
}

}  // namespace

void batch_norm(const BatchNorm& s, const float* x, const float* weight, const float* bias, float* out, float* means,
                float* vars) {
    if (s.size == 1) return of_vectors(s, x, weight, bias, out, means, vars);
    const double count = static_cast<double>(s.n * s.size);
    by_channels(s, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
            const Vec shift = broadcast(x[c * s.size]);
            const Sums sums = over_channel(s, c, [=](int64_t at, int n) {
                return Two{load_with(x + at, n, shift) - shift, {}};
            });
            const float center = static_cast<float>(shift[0] + sums.first / count);
            const Vec mean = broadcast(center);
            const Sums squares = over_channel(s, c, [=](int64_t at, int n) {
                const Vec d = load_with(x + at, n, mean) - mean;
                return Two{d, d * d};
            });
            const double rest = squares.first / count, var = squares.second / count - rest * rest;
            const double slope = (weight == nullptr ? 1.0 : weight[c]) / sqrt(var + s.eps);
            const Vec scale = broadcast(static_cast<float>(slope));
            const Vec offset = broadcast(bias == nullptr ? 0.0f : bias[c]);
            through_channel(s, c, [=](int64_t at, int n) {
                save(out + at, (load_with(x + at, n, mean) - mean) * scale + offset, n);
            });
            means[c] = center;
            vars[c] = static_cast<float>(var);
        }
    });
}

void batch_norm_grad(const BatchNorm& s, const float* g, const float* x, const float* weight, const float* means,
                     const float* vars, float* x_grad, float* weight_grad, float* bias_grad) {
    if (s.size == 1) return of_vectors_grad(s, g, x, weight, means, vars, x_grad, weight_grad, bias_grad);
    const double count = static_cast<double>(s.n * s.size);
    by_channels(s, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
            const Vec mean = broadcast(means[c]);
            const Sums sums = over_channel(s, c, [=](int64_t at, int n) {
                const Vec u = load_with(g + at, n, Vec{});
                return Two{u, u * (load_with(x + at, n, mean) - mean)};
            });
            const double inverse = 1.0 / sqrt(static_cast<double>(vars[c]) + s.eps);
            const double slope = (weight == nullptr ? 1.0 : weight[c]) * inverse;
            // x_grad = slope (g - mean of g - unit * mean of (g unit)), unit = (x - mean) * inverse
            const Vec a = broadcast(static_cast<float>(slope));
            const Vec b = broadcast(static_cast<float>(-slope * inverse * inverse * sums.second / count));
            const Vec constant = broadcast(static_cast<float>(-slope * sums.first / count));
            through_channel(s, c, [=](int64_t at, int n) {
                const Vec d = load_with(x + at, n, mean) - mean;
                save(x_grad + at, load_with(g + at, n, Vec{}) * a + (d * b + constant), n);
            });
            weight_grad[c] = static_cast<float>(sums.second * inverse);
            bias_grad[c] = static_cast<float>(sums.first);
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
