// Batch normalization: n images of c channels of `size` elements. In training a thread takes whole channels, which then
// stay in its cache from pass to pass. Sums are taken around the mean, or near it. A ReLU behind runs in the same passes; on
// the way back what it gave is computed again, which is cheaper than to read it.
#include <math.h>

#include "activate.h"
#include "map.h"
#include "sums.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

namespace {

struct Sums {
    double first, second;
};
struct Two {
    Vec first, second;
};

// The sums over a channel of the two vectors that f(at, count) returns, which reads the arrays there. A channel's rows lie
// too far apart for the processor to guess that the next image's will be wanted.
template <class F, class... Arrays>
inline Sums over_channel(const BatchNorm& s, int64_t channel, F&& f, const Arrays*... arrays) {
    LongSum first, second;
    const int64_t next = s.c * s.size;
    for (int64_t image = 0; image < s.n; ++image) {
        const int64_t row = (image * s.c + channel) * s.size;
        along_in_parts(
            s.size,
            [&](int64_t i, int count, int chain) {
                (__builtin_prefetch(arrays + row + i + next), ...);
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

// out = f(at, count) for a channel.
template <class F>
inline void through_channel(const BatchNorm& s, int64_t channel, float* out, F&& f) {
    const int64_t next = s.c * s.size;
    for (int64_t image = 0; image < s.n; ++image) {
        const int64_t row = (image * s.c + channel) * s.size;
        along(s.size, [&](int64_t i, int count, int) {
            __builtin_prefetch(out + row + i + next, 1);
            save(out + row + i, f(row + i, count), count);
        });
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

// What becomes of the deviations d from the mean, and the gradient of that from the one behind the activation.
struct Line {
    Vec slope, offset;
    Activation act;
    Vec at(Vec d) const { return activated(d * slope + offset, act); }
    Vec grad(Vec g, Vec d) const {
        if (act != RELU) return g;
        return d * slope + offset <= 0.0f ? Vec{} : g;  // a NaN lets it pass
    }
};

// The weights or biases of the channels that the lanes stand for, or of one channel in all lanes.
inline Vec group_of(const float* v, int64_t channel, int count, float missing) {
    return v == nullptr ? broadcast(missing) : load_with(v + channel, count, broadcast(missing));
}
inline Vec one_of(const float* v, int64_t channel, float missing) {
    return broadcast(v == nullptr ? missing : v[channel]);
}

inline float inverse_of(float var, float eps) { return static_cast<float>(1.0 / sqrt(static_cast<double>(var) + eps)); }

struct Moments {
    float mean;
    double var;
    bool far;  // the sums were taken around what is far from the mean: the variance lost digits
};

Moments moments_around(float center, const BatchNorm& s, int64_t channel, const float* x) {
    const Vec near = broadcast(center);
    const auto squares = [=](int64_t at, int n) {
        const Vec d = load_with(x + at, n, near) - near;
        return Two{d, d * d};
    };
    const Sums sums = over_channel(s, channel, squares, x);
    const double count = static_cast<double>(s.n * s.size), rest = sums.first / count;
    const double var = sums.second / count - rest * rest;
    return {static_cast<float>(center + rest), var, rest * rest > 4 * var};
}

// One pass, where the first elements tell about where the mean is; they rarely mislead, and then a second one.
Moments moments(const BatchNorm& s, int64_t channel, const float* x) {
    const int64_t some = smaller(s.size, 64);
    float guess = 0;
    for (int64_t i = 0; i < some; ++i) guess += x[channel * s.size + i] / static_cast<float>(some);
    const Moments found = moments_around(guess, s, channel, x);
    return found.far ? moments_around(found.mean, s, channel, x) : found;
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
                float* vars, Activation act) {
    const Vec zero{};
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
        const Line line{1.0f / root(var + s.eps) * group_of(weight, channel, count, 1.0f),
                        group_of(bias, channel, count, 0.0f), act};
        for (int64_t at = channel; at < s.n * s.c; at += s.c) {
            save(out + at, line.at(load_with(x + at, count, zero) - mean), count);
        }
        save(means + channel, mean, count);
        save(vars + channel, var, count);
    });
}

void of_vectors_grad(const BatchNorm& s, const float* g, const float* x, const float* weight, const float* bias,
                     const float* means, const float* vars, float* x_grad, float* weight_grad, float* bias_grad,
                     Activation act) {
    const Vec one = broadcast(1.0f), zero{};
    by_groups(s, [&](int64_t channel, int count) {
        const float scale = 1.0f / static_cast<float>(s.n);
        const Vec mean = load_with(means + channel, count, zero);
        const Vec inverse = 1.0f / root(load_with(vars + channel, count, one) + s.eps);
        const Line line{inverse * group_of(weight, channel, count, 1.0f), group_of(bias, channel, count, 0.0f), act};
        const Two sums = over_rows(s, channel, count, [&](int64_t at, int n) {
            const Vec d = load_with(x + at, n, zero) - mean, u = line.grad(load_with(g + at, n, zero), d);
            return Two{u, u * d};
        });
        const Vec along_unit = sums.second * inverse;
        for (int64_t at = channel; at < s.n * s.c; at += s.c) {
            const Vec d = load_with(x + at, count, zero) - mean, u = line.grad(load_with(g + at, count, zero), d);
            save(x_grad + at, line.slope * (u - (sums.first + d * inverse * along_unit) * scale), count);
        }
        save(weight_grad + channel, along_unit, count);
        save(bias_grad + channel, sums.first, count);
    });
}

}  // namespace

void batch_norm(const BatchNorm& s, const float* x, const float* weight, const float* bias, float* out, float* means,
                float* vars, Activation act) {
    if (s.size == 1) return of_vectors(s, x, weight, bias, out, means, vars, act);
    by_channels(s, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
            const Moments found = moments(s, c, x);
            const Vec mean = broadcast(found.mean);
            means[c] = found.mean;
            vars[c] = static_cast<float>(found.var);
            const Line line{inverse_of(vars[c], s.eps) * one_of(weight, c, 1.0f), one_of(bias, c, 0.0f), act};
            through_channel(s, c, out, [=](int64_t at, int n) { return line.at(load_with(x + at, n, mean) - mean); });
        }
    });
}

void batch_norm_grad(const BatchNorm& s, const float* g, const float* x, const float* weight, const float* bias,
                     const float* means, const float* vars, float* x_grad, float* weight_grad, float* bias_grad,
                     Activation act) {
    if (s.size == 1) return of_vectors_grad(s, g, x, weight, bias, means, vars, x_grad, weight_grad, bias_grad, act);
    const double count = static_cast<double>(s.n * s.size);
    by_channels(s, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
            const Vec mean = broadcast(means[c]);
            const float inverse = inverse_of(vars[c], s.eps);
            const Line line{inverse * one_of(weight, c, 1.0f), one_of(bias, c, 0.0f), act};
            const auto both = [=](int64_t at, int n) {
                const Vec d = load_with(x + at, n, mean) - mean, u = line.grad(load_with(g + at, n, Vec{}), d);
                return Two{u, u * d};
            };
            const Sums sums = over_channel(s, c, both, g, x);
            const double slope = line.slope[0], share = sums.second / count;
            // x_grad = slope (g - mean of g - unit * mean of (g unit)), unit = (x - mean) * inverse
            const Vec b = broadcast(static_cast<float>(-slope * inverse * inverse * share));
            const Vec constant = broadcast(static_cast<float>(-slope * sums.first / count));
            through_channel(s, c, x_grad, [=](int64_t at, int n) {
                const Vec d = load_with(x + at, n, mean) - mean, u = line.grad(load_with(g + at, n, Vec{}), d);
                return u * line.slope + (d * b + constant);
            });
            weight_grad[c] = static_cast<float>(sums.second * inverse);
            bias_grad[c] = static_cast<float>(sums.first);
        }
    });
}

void batch_norm_in_use(const BatchNorm& s, const float* x, const float* means, const float* vars, const float* weight,
                       const float* bias, float* out) {
    if (s.size == 1) {
        by_groups(s, [&](int64_t channel, int count) {
            const Vec mean = load_with(means + channel, count, Vec{});
            const Vec inverse = 1.0f / root(load_with(vars + channel, count, broadcast(1.0f)) + s.eps);
            const Line line{inverse * group_of(weight, channel, count, 1.0f), group_of(bias, channel, count, 0.0f), NONE};
            for (int64_t at = channel; at < s.n * s.c; at += s.c) {
                save(out + at, line.at(load_with(x + at, count, Vec{}) - mean), count);
            }
        });
        return;
    }
    parallel_ranges(s.n * s.c, larger(1, LIGHT / s.size), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t c = row % s.c, first = row * s.size;
            const Vec mean = broadcast(means[c]);
            const Line line{inverse_of(vars[c], s.eps) * one_of(weight, c, 1.0f), one_of(bias, c, 0.0f), NONE};
            along(s.size, [&](int64_t i, int count, int) {
                save(out + first + i, line.at(load_with(x + first + i, count, mean) - mean), count);
            });
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
