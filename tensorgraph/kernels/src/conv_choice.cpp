// Which algorithm computes a convolution.
#include "activate.h"
#include "buffers.h"
#include "conv_direct.h"
#include "conv_phases.h"
#include "conv_planes.h"
#include "conv_squares.h"
#include "conv_weight_grad.h"
#include "window.h"
#include "winograd.h"
#include "winograd_flat.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

void max_pool2d(const Pool& pool, const float* x, float* out, uint8_t* winners);  // in maxpool.cpp
void max_pool2d_grad(const Pool& pool, const float* g, const uint8_t* winners, float* x_grad);
void leaky_maxima(float slope, int64_t n, int64_t taps, float* out, uint8_t* winners);
void leaky_relu_grad(int64_t n, const float* g, const float* x, float slope, float* x_grad);  // in activation.cpp
void linear(int64_t n, int64_t f, int64_t k, const float* x, const float* w, const float* b, float* out,
            Activation act);  // in linear.cpp
void matmul(int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out);
void linear_weight_grad(int64_t n, int64_t f, int64_t k, const float* g, const float* x, float* out, float* bias_grad);

namespace {

constexpr int64_t MOST_ROW = 1 << 20;  // channels * width under Winograd's tiles: a group has at least a whole row of them
constexpr int64_t MOST_FLAT = 1 << 17;  // floats at the points of columns, with tiles in the lanes: half of a core's cache
constexpr int64_t CHUNK = 192;         // pixels that the weight gradient sums in one go

// One window that is the whole image: a linear layer.
bool is_linear(const Conv& v) {
    return v.oh == 1 && v.ow == 1 && v.kh == v.h && v.kw == v.w && v.top == 0 && v.left == 0 && v.groups == 1 &&
           (v.dilation_h == 1 || v.kh == 1) && (v.dilation_w == 1 || v.kw == 1);
}

// Filters of one tap do not see where rows end: rows as long as possible, up to `most` pixels, make better tiles.
Conv with_long_rows(const Conv& v, int64_t most) {
    if (v.kh * v.kw != 1 || v.oh != v.h || v.ow != v.w || v.stride_h * v.stride_w != 1 || v.top + v.left > 0) return v;
    const int64_t pixels = v.h * v.w;
    int64_t width = smaller(pixels, most);
    while (width > v.w && pixels % width != 0) --width;
    if (width <= v.w) return v;
    Conv long_rows = v;
    long_rows.w = long_rows.ow = width;
    long_rows.h = long_rows.oh = pixels / width;
    return long_rows;
}

// Winograd's lanes are channels: where half of them are idle, the direct kernel is faster. Tiles of 2x2, for filters of
// 5x5, lose with those of the outputs alone, the larger tiles of 3x3 with those of images and maps.
bool is_winograd(const Conv& v, int64_t outputs) {
    const int64_t channels = v.kh < 5 ? larger(v.c, v.f) : outputs;
    return winograd_fits(v) && 4 * channels >= 3 * LANES;
}

// With tiles in the lanes: which part of the lanes' outputs are used, some being behind the end of a row or a map; 0 if an
// image's columns do not fit into a core's cache. `ready`: outputs leave the lanes as rows of maps.
struct FlatFit {
    double used;
    bool ready;
};

template <class S>
FlatFit flat_fit(const Conv& v) {
    const flat::Layout<S> y{v.c, ceil_div(v.oh, S::M), ceil_div(v.ow, S::M), v.w, v.left};
    const double places = static_cast<double>(y.vectors * LANES * S::M * S::M);
    const bool near = S::T * y.column_row <= MOST_FLAT;
    const bool ready = y.vectors > 1 && y.pitch * S::M == v.ow && v.ow % LANES == 0;
    return {near ? static_cast<double>(v.oh * v.ow) / places : 0, ready};
}

// Whether tiles can be in the lanes.
bool flat_fits(const Conv& v) {
    if (v.stride_h * v.stride_w != 1 || v.dilation_h * v.dilation_w != 1 || v.groups != 1) return false;
    return v.kw == v.kh && (v.kh == 3 || v.kh == 5) && larger(v.top, v.left) < v.kh && planes_fit(v);
}

// Whether that is faster than what is chosen otherwise, of convolutions that fit: measured ratios, and what they depend on.
bool flat_pays(const Conv& v, bool channels_in_lanes) {
    const int64_t k = v.kh, fewest = smaller(v.c, v.f), most = larger(v.c, v.f), both = v.c + v.f;
    if (v.n < 8 || most > 32 || !planes_fit(v)) return false;
    const FlatFit fit = k == 5 ? flat_fit<winograd::SixPoints<2>>(v) : flat_fit<winograd::SixPoints<4>>(v);
    if (channels_in_lanes) {  // they gain with the channels, and lose where lanes are empty
        if (LANES < 8) return false;
        const auto filled = [](int64_t n) {
            return static_cast<double>(n) / static_cast<double>(ceil_div(n, LANES) * LANES);
        };
        const double many = static_cast<double>(both);
        const double small_filters = 1.1 - many / 250 + (fit.ready ? 0.15 : 0);
        const double large_filters = LANES == 16 ? 1.56 - many / 150 : 1.3 - many / 250;
        return 2 * (k == 3 ? small_filters : large_filters) * fit.used > 1.12 * (filled(v.c) + filled(v.f));
    }
    int64_t seen = 0;  // by the direct kernels: rows of taps that are inside of the image
    for (int64_t r = 0; r < k; ++r) seen += larger(0, smaller(v.oh, v.h + v.top - r) - larger(0, v.top - r));
    const bool enough = k == 5 ? fewest >= 4 && both >= 14 : fewest >= 6 && both >= 16;
    return enough && fit.used * static_cast<double>(seen) > 0.75 * static_cast<double>(v.oh * k);
}

}  // namespace

int64_t winograd_tile(const Conv& conv) {
    const int64_t k = conv.kh;
    const bool possible = conv.stride_h == 1 && conv.stride_w == 1 && conv.dilation_h == 1 && conv.dilation_w == 1 &&
                          conv.groups == 1 && conv.kw == k && (k == 3 || k == 5) && conv.top < k && conv.left < k;
    if (!possible || smaller(conv.c, conv.f) < 8 || conv.ow * larger(conv.c, conv.f) > MOST_ROW) return 0;
    const int64_t small = (k + 1) * (k + 1) * ceil_div(conv.oh, 2) * ceil_div(conv.ow, 2);  // products of a channel
    const int64_t large = 36 * ceil_div(conv.oh, 4) * ceil_div(conv.ow, 4);
    const int64_t tile = k == 3 && large < small ? 4 : 2, products = tile == 4 ? large : small;
    return 3 * products <= 2 * conv.oh * conv.ow * k * k ? tile : 0;  // measured: the transformations cost up to a half
}

void conv2d(const Conv& v, const float* x, const float* w, const float* b, float* out, Activation act, bool winograd) {
    const Activation at_once = in_registers(act);
    if (winograd && flat_fits(v) && flat_pays(v, is_winograd(v, v.f))) {
        flat::forward(v, x, w, b, out, at_once);
    } else if (winograd && is_winograd(v, v.f)) {
        winograd_forward(v, x, w, b, out, at_once);
    } else if (winograd && phases_fit(v)) {
        phases_forward(v, x, w, b, out, at_once);
    } else if (is_linear(v)) {
        linear(v.n, v.f, v.c * v.h * v.w, x, w, b, out, at_once);
    } else {
        direct_forward(with_long_rows(v, v.h * v.w), nullptr, x, w, b, out, nullptr, at_once);
    }
    activate(in_cache(act), v.n * v.f * v.oh * v.ow, out);  // in the convolution's loops it is no faster: it is arithmetic
}

void conv2d_max_pool2d(const Conv& v, const Pool& pool, const float* x, const float* w, const float* b, float* out,
                       uint8_t* winners, float slope, bool winograd) {
    if (winograd && v.kh == 5 && in_squares(pool) && flat_fits(v) && flat_pays(v, is_winograd(v, v.f))) {
        return flat::forward_in_squares(v, pool, x, w, b, out, winners, slope);
    } else if (winograd && (is_winograd(v, v.f) || phases_fit(v))) {
        const Scratch maps(v.n * v.f * v.oh * v.ow);
        conv2d(v, x, w, b, maps.floats(), NONE, winograd);
        max_pool2d(pool, maps.floats(), out, winners);
    } else if (squares_fit(v, pool)) {
        return forward_in_squares(v, pool, x, w, b, out, winners, slope);
    } else {
        direct_forward(v, &pool, x, w, b, out, winners, NONE);
    }
    leaky_maxima(slope, pool.planes * pool.oh * pool.ow, pool.kh * pool.kw, out, winners);
}

void conv2d_input_grad(const Conv& v, const float* g, const float* w, float* out, bool winograd) {
    if (winograd && flat_fits(v) && flat_pays(input_grad_of(v), is_winograd(v, v.c))) return flat::input_grad(v, g, w, out);
    if (winograd && is_winograd(v, v.c)) return winograd_input_grad(v, g, w, out);
    if (winograd && phases_fit(v)) return phases_input_grad(v, g, w, out);
    if (is_linear(v)) return matmul(v.n, v.c * v.h * v.w, v.f, g, w, out);
    direct_input_grad(with_long_rows(v, v.h * v.w), g, w, out);
}

void conv2d_weight_grad(const Conv& v, const float* g, const float* x, float* out, float* bias_grad, bool winograd) {
    if (winograd && is_winograd(v, smaller(v.c, v.f))) return winograd_weight_grad(v, g, x, out, bias_grad);
    if (winograd && phases_fit(v)) return phases_weight_grad(v, g, x, out, bias_grad);
    if (is_linear(v)) return linear_weight_grad(v.n, v.f, v.c * v.h * v.w, g, x, out, bias_grad);
    if (lanes_are_pixels(v) && weight_grad_by_pixels(v, g, nullptr, x, out, bias_grad)) return;
    direct_weight_grad(with_long_rows(v, CHUNK), g, x, out, bias_grad);
}

void conv2d_max_pool2d_weight_grad(const Conv& v, const Pool& pool, const float* g, const float* pooled,
                                   const uint8_t* winners, const float* maps_grad, const float* x, float* out,
                                   float* bias_grad, float slope, bool winograd) {
    const Pooled maps{pool, g, winners, pooled, slope};
    const bool direct = !(winograd && (is_winograd(v, smaller(v.c, v.f)) || phases_fit(v)));
    if (direct && winners_are_few(v, pool)) {
        if (weight_grad_of_winners(v, maps, x, out, bias_grad)) return;
    } else if (direct && maps_grad == nullptr && in_squares(pool) && lanes_are_pixels(v)) {
        if (weight_grad_by_pixels(v, nullptr, &maps, x, out, bias_grad)) return;
    }
    if (maps_grad != nullptr) return conv2d_weight_grad(v, maps_grad, x, out, bias_grad, winograd);
    const int64_t count = pool.planes * pool.oh * pool.ow;
    const Scratch room(pool.planes * pool.h * pool.w), gradients(pooled != nullptr ? count : 1);
    if (pooled != nullptr) {
        leaky_relu_grad(count, g, pooled, slope, gradients.floats());
        g = gradients.floats();
    }
    max_pool2d_grad(pool, g, winners, room.floats());
    conv2d_weight_grad(v, room.floats(), x, out, bias_grad, winograd);
}

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
