// The steps of the optimizers, in place, over all parameters as if they were one long array that the threads share.
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

}  // namespace

void sgd(const Piece* pieces, int64_t count, const SgdOptions& o) {
    over_all(pieces, count, [=](const Piece& p, int64_t begin, int64_t end) {
        float *value = p.value, *v = p.state[0];
        for (int64_t i = begin; i < end; ++i) {
            float d = p.gradient[i];
            if (o.weight_decay != 0) d += o.weight_decay * value[i];
            if (o.momentum != 0) {
                v[i] = o.fresh ? d : o.momentum * v[i] + o.share * d;
                d = o.nesterov ? d + o.momentum * v[i] : v[i];
            }
            value[i] -= o.lr * d;
        }
    });
}

void adam(const Piece* pieces, int64_t count, const AdamOptions& o) {
    over_all(pieces, count, [=](const Piece& p, int64_t begin, int64_t end) {
        float *value = p.value, *mean = p.state[0], *square = p.state[1];
        for (int64_t i = begin; i < end; ++i) {
            float g = p.gradient[i];
            if (o.weight_decay != 0) g += o.weight_decay * value[i];
            const float m = mean[i] + o.share1 * (g - mean[i]);
            const float v = o.beta2 * square[i] + o.share2 * g * g;
            mean[i] = m;
            square[i] = v;
            value[i] = o.shrink * value[i] - o.lr * m / (__builtin_sqrtf(v) * o.root_scale + o.eps);
        }
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
