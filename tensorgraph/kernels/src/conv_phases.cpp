// With S = stride, r = S a + i, and y S + r - top = S (y + a) + i - top: row y of the output sees, through row r of the
// filter, row y + a of phase i, which is made of the image's rows i - top, i - top + S, ...
//
//     phases[n][c][i][j][Y][X] = x[n][c][Y S + i - top][X S + j - left], zeros where that is outside
//     filters[f][c][i][j][a][b] = w[f][c][a S + i][b S + j], zeros where there is no such tap
#include "conv_phases.h"

#include "buffers.h"
#include "winograd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

// The convolution of the phases, without their rows and columns that are padding.
Conv of_phases(const Conv& v) {
    const int64_t kh = ceil_div(v.kh, v.stride_h), kw = ceil_div(v.kw, v.stride_w);
    const int64_t top = v.top / v.stride_h, left = v.left / v.stride_w;
    const int64_t h = ceil_div(v.top + v.h, v.stride_h) - top, w = ceil_div(v.left + v.w, v.stride_w) - left;
    return {v.n, v.c * v.stride_h * v.stride_w, h, w, v.f, kh, kw, v.oh, v.ow, 1, 1, top, left, 1, 1, 1};
}

Phases phases_of(const Conv& v) {
    return {v.h, v.w, v.stride_h, v.stride_w, v.top % v.stride_h, v.left % v.stride_w};
}

// Calls visit(place of a tap in the filters of phases, its place in w or -1).
template <class Visit>
void visit_taps(const Conv& v, const Conv& p, Visit visit) {
    int64_t at = 0;
    for (int64_t filter = 0; filter < v.f * v.c; ++filter) {
        for (int64_t i = 0; i < v.stride_h; ++i) {
            for (int64_t j = 0; j < v.stride_w; ++j) {
                for (int64_t r = i; r < p.kh * v.stride_h; r += v.stride_h) {
                    for (int64_t s = j; s < p.kw * v.stride_w; s += v.stride_w, ++at) {
                        visit(at, r < v.kh && s < v.kw ? (filter * v.kh + r) * v.kw + s : -1);
                    }
                }
            }
        }
    }
}

int64_t filter_floats(const Conv& p) { return p.f * p.c * p.kh * p.kw; }

void filters_to_phases(const Conv& v, const Conv& p, const float* w, float* to) {
    visit_taps(v, p, [=](int64_t at, int64_t from) { to[at] = from < 0 ? 0 : w[from]; });
}

}  // namespace

bool phases_fit(const Conv& v) {
    if (v.stride_h * v.stride_w == 1 || v.dilation_h * v.dilation_w * v.groups != 1) return false;
    if (2 * v.stride_h > 3 * v.kh || 2 * v.stride_w > 3 * v.kw) return false;  // so strides are not absurd below
    const Conv p = of_phases(v);
    const int64_t padded_taps = p.kh * v.stride_h * p.kw * v.stride_w;  // of a channel; a third may be zeros
    return winograd_fits(p) && 2 * padded_taps <= 3 * v.kh * v.kw;
}

void phases_forward(const Conv& v, const float* x, const float* w, const float* b, float* out, Activation act) {
    const Conv p = of_phases(v);
    const Phases phases = phases_of(v);
    const Scratch filters(filter_floats(p));
    filters_to_phases(v, p, w, filters.floats());
    winograd_forward(p, x, filters.floats(), b, out, act, &phases);
}

void phases_input_grad(const Conv& v, const float* g, const float* w, float* out) {
    const Conv p = of_phases(v);
    const Phases phases = phases_of(v);
    const Scratch filters(filter_floats(p));
    filters_to_phases(v, p, w, filters.floats());
    winograd_input_grad(p, g, filters.floats(), out, &phases);
}

void phases_weight_grad(const Conv& v, const float* g, const float* x, float* out, float* bias_grad) {
    const Conv p = of_phases(v);
    const Phases phases = phases_of(v);
    const Scratch filters(filter_floats(p));
    winograd_weight_grad(p, g, x, filters.floats(), bias_grad, &phases);
    visit_taps(v, p, [&](int64_t from, int64_t at) {
        if (at >= 0) out[at] = filters.floats()[from];
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
