// With S = stride, r = S a + i, and y S + r - top = S (y + a) + i - top: row y of the output sees, through row r of the
// filter, row y + a of phase i, which is made of the image's rows i - top, i - top + S, ...
//
//     phases[n][c][i][j][Y][X] = x[n][c][Y S + i - top][X S + j - left], zeros where that is outside
//     filters[f][c][i][j][a][b] = w[f][c][a S + i][b S + j], zeros where there is no such tap
#include "conv_phases.h"

#include "buffers.h"
#include "lanes.h"
#include "pool.h"
#include "winograd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {
namespace {

// The convolution of the phases, without their rows and columns that are padding, or that no filter reaches.
Conv of_phases(const Conv& v) {
    const int64_t kh = ceil_div(v.kh, v.stride_h), kw = ceil_div(v.kw, v.stride_w);
    const int64_t top = v.top / v.stride_h, left = v.left / v.stride_w;
    const int64_t h = smaller(v.oh + kh - 1, ceil_div(v.top + v.h, v.stride_h)) - top;
    const int64_t w = smaller(v.ow + kw - 1, ceil_div(v.left + v.w, v.stride_w)) - left;
    return {v.n, v.c * v.stride_h * v.stride_w, h, w, v.f, kh, kw, v.oh, v.ow, 1, 1, top, left, 1, 1, 1};
}

// to[j][X] = from[X * STEP + j], for the phases j of a row.
template <int STEP>
void deal(const float* __restrict from, int64_t any_step, int64_t width, int64_t plane, float* __restrict to) {
    const int64_t step = STEP > 0 ? STEP : any_step;
    for (int64_t x = 0; x < width; ++x, from += step) {
        for (int64_t j = 0; j < step; ++j) to[j * plane + x] = from[j];
    }
}

template <>
void deal<2>(const float* __restrict from, int64_t, int64_t width, int64_t plane, float* __restrict to) {
    with_lanes(width, [&]<int L>() {
        cover<L>(0, width, [&](int64_t x) {
            const auto a = load_lanes<L>(from + 2 * x), b = load_lanes<L>(from + 2 * x + L);
            store_lanes<L>(to + x, L == 1 ? a : evens<L>(a, b));
            store_lanes<L>(to + plane + x, L == 1 ? b : odds<L>(a, b));
        });
    });
}

// And back: to[X * STEP + j] = from[j][X].
template <int STEP>
void gather(const float* __restrict from, int64_t any_step, int64_t width, int64_t plane, float* __restrict to) {
    const int64_t step = STEP > 0 ? STEP : any_step;
    for (int64_t x = 0; x < width; ++x, to += step) {
        for (int64_t j = 0; j < step; ++j) to[j] = from[j * plane + x];
    }
}

template <>
void gather<2>(const float* __restrict from, int64_t, int64_t width, int64_t plane, float* __restrict to) {
    with_lanes(width, [&]<int L>() {
        cover<L>(0, width, [&](int64_t x) {
            const auto a = load_lanes<L>(from + x), b = load_lanes<L>(from + plane + x);
            store_lanes<L>(to + 2 * x, L == 1 ? a : zip_first<L>(a, b));
            store_lanes<L>(to + 2 * x + L, L == 1 ? b : zip_second<L>(a, b));
        });
    });
}

void images_to_phases(const Conv& v, const Conv& p, const float* x, float* to) {
    const auto run = v.stride_w == 2 ? deal<2> : v.stride_w == 4 ? deal<4> : deal<0>;
    const int64_t plane = p.h * p.w, top = v.top % v.stride_h, left = v.left % v.stride_w;
    const int64_t wide = larger(p.w * v.stride_w, left + v.w);
    parallel_ranges(v.n * v.c, 1, [&](int64_t begin, int64_t end) {
        const Scratch row(wide);
        __builtin_memset(row.floats(), 0, static_cast<size_t>(wide) * sizeof(float));
        for (int64_t channel = begin; channel < end; ++channel) {
            for (int64_t y = 0; y < p.h * v.stride_h; ++y) {
                const int64_t from = y - top;
                float* phase = to + (channel * v.stride_h + y % v.stride_h) * v.stride_w * plane + y / v.stride_h * p.w;
                if (from < 0 || from >= v.h) {
                    for (int64_t j = 0; j < v.stride_w; ++j) {
                        __builtin_memset(phase + j * plane, 0, static_cast<size_t>(p.w) * sizeof(float));
                    }
                    continue;
                }
                __builtin_memcpy(row.floats() + left, x + (channel * v.h + from) * v.w,
                                 static_cast<size_t>(v.w) * sizeof(float));
                run(row.floats(), v.stride_w, p.w, plane, phase);
            }
        }
    });
}

void phases_to_images(const Conv& v, const Conv& p, const float* phases, float* out) {
    const auto run = v.stride_w == 2 ? gather<2> : v.stride_w == 4 ? gather<4> : gather<0>;
    const int64_t plane = p.h * p.w, top = v.top % v.stride_h, left = v.left % v.stride_w;
    const int64_t wide = larger(p.w * v.stride_w, left + v.w);
    parallel_ranges(v.n * v.c, 1, [&](int64_t begin, int64_t end) {
        const Scratch row(wide);
        __builtin_memset(row.floats(), 0, static_cast<size_t>(wide) * sizeof(float));
        for (int64_t channel = begin; channel < end; ++channel) {
            for (int64_t y = 0; y < v.h; ++y) {
                const int64_t from = y + top;
                float* to = out + (channel * v.h + y) * v.w;
                if (from / v.stride_h >= p.h) {
                    __builtin_memset(to, 0, static_cast<size_t>(v.w) * sizeof(float));
                    continue;
                }
                const int64_t phase = (channel * v.stride_h + from % v.stride_h) * v.stride_w;
                run(phases + phase * plane + from / v.stride_h * p.w, v.stride_w, p.w, plane, row.floats());
                __builtin_memcpy(to, row.floats() + left, static_cast<size_t>(v.w) * sizeof(float));
            }
        }
    });
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

int64_t image_floats(const Conv& p) { return p.n * p.c * p.h * p.w; }
int64_t filter_floats(const Conv& p) { return p.f * p.c * p.kh * p.kw; }

void filters_to_phases(const Conv& v, const Conv& p, const float* w, float* to) {
    visit_taps(v, p, [=](int64_t at, int64_t from) { to[at] = from < 0 ? 0 : w[from]; });
}

}  // namespace

bool phases_fit(const Conv& v) {
    if (v.stride_h * v.stride_w == 1 || v.dilation_h * v.dilation_w * v.groups != 1) return false;
    const Conv p = of_phases(v);
    const int64_t padded_taps = p.kh * v.stride_h * p.kw * v.stride_w;  // of a channel; a third may be zeros
    return winograd_fits(p) && 2 * padded_taps <= 3 * v.kh * v.kw;
}

void phases_forward(const Conv& v, const float* x, const float* w, const float* b, float* out, Activation act) {
    const Conv p = of_phases(v);
    const Scratch images(image_floats(p)), filters(filter_floats(p));
    images_to_phases(v, p, x, images.floats());
    filters_to_phases(v, p, w, filters.floats());
    winograd_forward(p, images.floats(), filters.floats(), b, out, act);
}

void phases_input_grad(const Conv& v, const float* g, const float* w, float* out) {
    const Conv p = of_phases(v);
    const Scratch images(image_floats(p)), filters(filter_floats(p));
    filters_to_phases(v, p, w, filters.floats());
    winograd_input_grad(p, g, filters.floats(), images.floats());
    phases_to_images(v, p, images.floats(), out);
}

void phases_weight_grad(const Conv& v, const float* g, const float* x, float* out, float* bias_grad) {
    const Conv p = of_phases(v);
    const Scratch images(image_floats(p)), filters(filter_floats(p));
    images_to_phases(v, p, x, images.floats());
    winograd_weight_grad(p, g, images.floats(), filters.floats(), bias_grad);
    visit_taps(v, p, [&](int64_t from, int64_t at) {
        if (at >= 0) out[at] = filters.floats()[from];
    });
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
