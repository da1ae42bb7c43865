// Softmax, its logarithm and the cross-entropy of rows of logits, and their gradients: a row at a time, its largest
// element subtracted first. A row whose largest element is infinite, or that holds a NaN, becomes NaN.
#include "buffers.h"
#include "kernels.h"
#include "pool.h"
#include "rearrange.h"
#include "vecmath.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int64_t GRAIN = 4096;  // elements that are worth a second thread

// Rows [begin, end) of `c` floats, of which other threads have the others: the last vector of a row may reach into the
// next one, if that is ours.
template <class T>
struct Rows {
    T* data;
    int64_t c, begin, end;
    T* at(int64_t row, int64_t j) const { return data + row * c + j; }
    bool reaches(int64_t row, int64_t j) const { return row * c + j + LANES <= end * c; }
};

inline Mask first(int64_t count) {
    return lanes([](int i) { return i; }) < static_cast<int>(smaller(count, LANES));
}

inline Vec get(const Rows<const float>& x, int64_t row, int64_t j) {
    return x.reaches(row, j) ? load(x.at(row, j)) : load_part(x.at(row, j), static_cast<int>(x.c - j));
}

// Rows must be stored in order: what reaches into the next row is written over by it.
inline void put(const Rows<float>& x, int64_t row, int64_t j, Vec v) {
    x.reaches(row, j) ? store(x.at(row, j), v) : store_part(x.at(row, j), v, static_cast<int>(x.c - j));
}

template <int S = LANES / 2, class F>
inline float across(Vec v, F join) {
    v = join(v, __builtin_shuffle(v, lanes([](int i) { return i ^ S; })));
    if constexpr (S > 1) {
        return across<S / 2>(v, join);
    } else {
        return v[0];
    }
}

inline float sum_of(Vec v) {
    return across(v, [](Vec a, Vec b) { return a + b; });
}

inline float largest(const Rows<const float>& x, int64_t row) {
    const Vec least = broadcast(-__builtin_inff());
    Vec peak = least;
    for (int64_t j = 0; j < x.c; j += LANES) {
        const Vec v = first(x.c - j) ? get(x, row, j) : least;
        peak = v > peak ? v : peak;  // a NaN is left to the sum of the powers
    }
    return across(peak, [](Vec a, Vec b) { return a > b ? a : b; });
}

// The sum of e^(x - peak) over a row; f(j, e^(x - peak)) sees every vector of it.
template <class F>
inline float powers(const Rows<const float>& x, int64_t row, float peak, F f) {
    Vec total{};
    for (int64_t j = 0; j < x.c; j += LANES) {
        const Vec e = exp_of_negative(get(x, row, j) - broadcast(peak));
        f(j, e);
        total += first(x.c - j) ? e : Vec{};
    }
    return sum_of(total);
}

template <class F>
void in_ranges(int64_t n, int64_t c, F f) {
    parallel_ranges(n, larger(1, GRAIN / larger(1, c)), f);
}

// out = softmax(x); done(row, peak, sum of the powers) is called for every row.
template <class F>
void softmax_rows(int64_t n, int64_t c, const float* x_data, float* out_data, F done) {
    in_ranges(n, c, [=](int64_t begin, int64_t end) {
        const Rows<const float> x{x_data, c, begin, end};
        const Rows<float> out{out_data, c, begin, end};
        for (int64_t row = begin; row < end; ++row) {
            const float peak = largest(x, row);
            const float total = powers(x, row, peak, [&](int64_t j, Vec e) { put(out, row, j, e); });
            const Vec scale = broadcast(1.0f / total);
            for (int64_t j = 0; j < c; j += LANES) {
                put(out, row, j, get({out_data, c, begin, end}, row, j) * scale);
            }
            done(row, peak, total);
        }
    });
}

}  // namespace

void softmax(int64_t n, int64_t c, const float* x, float* out) {
    softmax_rows(n, c, x, out, [](int64_t, float, float) {});
}

// x_grad = out (g - sum(g out))
void softmax_grad(int64_t n, int64_t c, const float* g_data, const float* out_data, float* x_grad) {
    in_ranges(n, c, [=](int64_t begin, int64_t end) {
        const Rows<const float> g{g_data, c, begin, end}, out{out_data, c, begin, end};
        const Rows<float> to{x_grad, c, begin, end};
        for (int64_t row = begin; row < end; ++row) {
            Vec total{};
            for (int64_t j = 0; j < c; j += LANES) {
                total += first(c - j) ? get(g, row, j) * get(out, row, j) : Vec{};
            }
            const Vec mean = broadcast(sum_of(total));
            for (int64_t j = 0; j < c; j += LANES) put(to, row, j, get(out, row, j) * (get(g, row, j) - mean));
        }
    });
}

void log_softmax(int64_t n, int64_t c, const float* x_data, float* out) {
    in_ranges(n, c, [=](int64_t begin, int64_t end) {
        const Rows<const float> x{x_data, c, begin, end};
        const Rows<float> to{out, c, begin, end};
        for (int64_t row = begin; row < end; ++row) {
            const float peak = largest(x, row);
            const Vec log_total = broadcast(__builtin_logf(powers(x, row, peak, [](int64_t, Vec) {})));
            for (int64_t j = 0; j < c; j += LANES) put(to, row, j, (get(x, row, j) - broadcast(peak)) - log_total);
        }
    });
}

// x_grad = g - e^out sum(g)
void log_softmax_grad(int64_t n, int64_t c, const float* g_data, const float* out_data, float* x_grad) {
    in_ranges(n, c, [=](int64_t begin, int64_t end) {
        const Rows<const float> g{g_data, c, begin, end}, out{out_data, c, begin, end};
        const Rows<float> to{x_grad, c, begin, end};
        for (int64_t row = begin; row < end; ++row) {
            Vec total{};
            for (int64_t j = 0; j < c; j += LANES) total += first(c - j) ? get(g, row, j) : Vec{};
            const Vec all = broadcast(sum_of(total));
            for (int64_t j = 0; j < c; j += LANES) put(to, row, j, get(g, row, j) - exp_of_negative(get(out, row, j)) * all);
        }
    });
}

// out: one loss a row, or one number; `probabilities` are what the gradient needs.
void softmax_cross_entropy(int64_t n, int64_t c, const float* logits, const int64_t* target, float* out,
                           float* probabilities, Reduction reduction) {
    const Scratch scratch(reduction == EACH ? 0 : n);
    float* losses = reduction == EACH ? out : scratch.floats();
    softmax_rows(n, c, logits, probabilities, [=](int64_t row, float peak, float total) {
        losses[row] = __builtin_logf(total) - (logits[row * c + target[row]] - peak);
    });
    if (reduction == EACH) return;
    double total = 0;
    for (int64_t row = 0; row < n; ++row) total += losses[row];
    *out = static_cast<float>(reduction == MEAN ? total / static_cast<double>(n) : total);
}

// logits_grad = g (probabilities - the one of the target)
void softmax_cross_entropy_grad(int64_t n, int64_t c, const float* g, const float* probabilities,
                                const int64_t* target, float* logits_grad, Reduction reduction) {
    in_ranges(n, c, [=](int64_t begin, int64_t end) {
        const Rows<const float> p{probabilities, c, begin, end};
        const Rows<float> to{logits_grad, c, begin, end};
        for (int64_t row = begin; row < end; ++row) {
            const float scale = reduction == EACH ? g[row] : reduction == MEAN ? *g / static_cast<float>(n) : *g;
            for (int64_t j = 0; j < c; j += LANES) put(to, row, j, get(p, row, j) * broadcast(scale));
            const int64_t at = row * c + target[row];
            logits_grad[at] = (probabilities[at] - 1.0f) * scale;
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
