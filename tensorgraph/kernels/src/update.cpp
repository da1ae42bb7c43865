// The steps of the optimizers, in place, over all parameters as if they were one long array that the threads share.
//
// The ends of ranges go through the same lines as the rest, in vectors with fewer numbers: the compiler may round other
// lines differently, and then results would depend on where the threads' ranges end.
#include "kernels.h"
#include "pool.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

constexpr int64_t GRAIN = 16384;  // elements that are worth a second thread

// Calls f(piece, begin, end) for the parts of pieces that belong to a thread.
template <class F>
void over_all(const Piece* pieces, int64_t count, F f) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; ++i) total += pieces[i].size;
    parallel_ranges(total, GRAIN, [=](int64_t begin, int64_t end) {
        int64_t start = 0;
        for (int64_t i = 0; i < count && start < end; start += pieces[i++].size) {
            const int64_t from = larger(0, begin - start), to = smaller(pieces[i].size, end - start);
            if (from < to) f(pieces[i], from, to);
        }
    });
}

inline Vec get(const float* p, int64_t count) {
    return count < LANES ? load_part(p, static_cast<int>(count)) : load(p);
}
inline void put(float* p, Vec v, int64_t count) {
    count < LANES ? store_part(p, v, static_cast<int>(count)) : store(p, v);
}

inline Vec square_root(Vec v) {
    float x[LANES];
    store(x, v);
    for (float& number : x) number = __builtin_sqrtf(number);
    return load(x);
}

}  // namespace

void sgd(const Piece* pieces, int64_t count, const SgdOptions& o) {
    over_all(pieces, count, [=](const Piece& p, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += LANES) {
            const int64_t size = end - i;
            const Vec value = get(p.value + i, size);
            Vec d = get(p.gradient + i, size);
            if (o.weight_decay != 0) d += o.weight_decay * value;
            if (o.momentum != 0) {
                float* const sum = p.state[0] + i;
                const Vec v = o.fresh ? d : o.momentum * get(sum, size) + o.share * d;
                put(sum, v, size);
                d = o.nesterov ? d + o.momentum * v : v;
            }
            put(p.value + i, value - o.lr * d, size);
        }
    });
}

void adam(const Piece* pieces, int64_t count, const AdamOptions& o) {
    over_all(pieces, count, [=](const Piece& p, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += LANES) {
            const int64_t size = end - i;
            float *const mean = p.state[0] + i, *const square = p.state[1] + i;
            const Vec value = get(p.value + i, size);
            Vec g = get(p.gradient + i, size), m = get(mean, size);
            if (o.weight_decay != 0) g += o.weight_decay * value;
            m += o.share1 * (g - m);
            const Vec v = o.beta2 * get(square, size) + o.share2 * g * g;
            put(mean, m, size);
            put(square, v, size);
            put(p.value + i, o.shrink * value - o.lr * m / (square_root(v) * o.root_scale + o.eps), size);
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
