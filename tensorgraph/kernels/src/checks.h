// What the table of signatures.cpp says of its kernels in common: names of settings, how they are read from a call, and
// what is wrong with them. Nothing that passes here can make a kernel read or write outside its arrays.
#pragma once

#include "signatures.h"

namespace tensorgraph {

// --- convolution ---------------------------------------------------------------------------------------------------------

#define CONV_SETTINGS "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w", "groups"

// N images of C x H x W, F filters of K x R x S, outputs of P x Q; the settings follow `first` other integers.
inline Conv conv_of(const Call& c, int first) {
    const int64_t* s = c.integer + first;
    return {c['N'], c['C'], c['H'], c['W'], c['F'], c['R'], c['S'], c['P'], c['Q'],
            s[0],   s[1],   s[2],   s[3],   s[4],   s[5],   s[6]};
}

// How far the windows of one axis reach, at most; as a real number it cannot overflow.
inline double reach(int64_t size, int64_t before, int64_t count, int64_t stride, int64_t taps, int64_t dilation) {
    return 1.0 + size + before + 1.0 * count * stride + 1.0 * taps * dilation;
}

inline const char* check_conv(const Call& c, int first) {
    const Conv v = conv_of(c, first);
    for (int i = 0; i < 7; ++i) {
        if (c.integer[first + i] > INT32_MAX) return "the settings are absurd";
    }
    const double rows = reach(v.h, v.top, v.oh, v.stride_h, v.kh, v.dilation_h);
    const double columns = reach(v.w, v.left, v.ow, v.stride_w, v.kw, v.dilation_w);
    if ((1.0 + v.c + v.f) * rows * columns > 1e15) return "the padded images are too large";
    if (v.stride_h < 1 || v.stride_w < 1 || v.dilation_h < 1 || v.dilation_w < 1) return "strides and dilations must be positive";
    if (v.top < 0 || v.left < 0) return "paddings must not be negative";
    if (v.kh < 1 || v.kw < 1) return "filters must not be empty";
    if (v.groups < 1 || v.c % v.groups != 0 || v.f % v.groups != 0) return "groups must divide the channels and the filters";
    if (v.c / v.groups != c['K']) return "the filters' channels do not fit the images'";
    return nullptr;
}

// Of Winograd's algorithm; it follows ten other integers.
inline Tiling tiling_of(const Call& c) { return {c.integer[10], c.integer[11] != 0}; }

inline const char* check_winograd(const Call& c, int first, const Tiling& tiling) {
    const int64_t tile = tiling.size;
    if (const char* problem = check_conv(c, first)) return problem;
    const Conv v = conv_of(c, first);
    if (v.stride_h != 1 || v.stride_w != 1 || v.dilation_h != 1 || v.dilation_w != 1 || v.groups != 1) {
        return "strides, dilations and groups must be 1";
    }
    if (!(v.kh == v.kw && ((v.kh == 3 && (tile == 2 || tile == 4)) || (v.kh == 5 && tile == 2)))) {
        return "filters must be 3x3, with tile 2 or 4, or 5x5, with tile 2";
    }
    if (tiling.in_lanes && v.kh == 3 && tile == 2) return "tiles in lanes must be of 4x4 for filters of 3x3";
    if (v.top >= v.kh || v.left >= v.kw) return "paddings must be smaller than the filters";
    return nullptr;
}

// --- pooling -------------------------------------------------------------------------------------------------------------

#define POOL_SETTINGS "kernel_h", "kernel_w", "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w"

// Images of H x W, outputs of P x Q; the settings follow two integers, H and W or P and Q, or `first` others.
inline Pool pool_of(const Call& c, int first = 2) {
    const int64_t* s = c.integer + first;
    return {c['N'] * c['C'], c['H'], c['W'], s[0], s[1], c['P'], c['Q'], s[2], s[3], s[4], s[5], s[6], s[7]};
}

// Those of the average follow the settings of the pooling.
inline Areas areas_of(const Call& c, int first = 10) {
    return {c.integer[first], c.integer[first + 1], c.integer[first + 2] != 0};
}

inline const char* check_pool_settings(const Pool& p, const int64_t* s) {
    if (p.h < 1 || p.w < 1 || p.oh < 1 || p.ow < 1) return "images and outputs must not be empty";
    if (p.oh > INT32_MAX || p.ow > INT32_MAX) return "so many windows are absurd";
    for (int i = 0; i < 8; ++i) {
        if (s[i] < (i < 4 || i > 5)) return "sizes, strides and dilations must be positive, paddings not negative";
        if (s[i] > INT32_MAX) return "the settings are absurd";
    }
    return s[0] * s[1] > INT32_MAX ? "so large a window is absurd" : nullptr;
}

inline const char* check_pool(const Call& c) { return check_pool_settings(pool_of(c), c.integer + 2); }

inline const char* check_winners(const Call& c) {
    if (const char* problem = check_pool(c)) return problem;
    return c.integer[2] * c.integer[3] > 255 ? "a byte cannot number so many taps" : nullptr;
}

// --- element by element --------------------------------------------------------------------------------------------------

#define MAP(kernel)                                                                                                    \
    {#kernel, {{"x", 'f', "*"}}, {}, {}, {{"out", 'f', "*"}}, nullptr, [](const Kernels& k, Call& c) {                 \
         k.kernel(c['*'], c.in[0].floats(), c.out[0].floats());                                                        \
     }}
#define MAP_PAIRS(kernel, first, second)                                                                               \
    {#kernel, {{#first, 'f', "*"}, {#second, 'f', "*"}}, {}, {}, {{"out", 'f', "*"}}, nullptr,                         \
     [](const Kernels& k, Call& c) { k.kernel(c['*'], c.in[0].floats(), c.in[1].floats(), c.out[0].floats()); }}
#define MAP_WITH(kernel, number)                                                                                       \
    {#kernel, {{"x", 'f', "*"}}, {}, {#number}, {{"out", 'f', "*"}}, nullptr, [](const Kernels& k, Call& c) {          \
         k.kernel(c['*'], c.in[0].floats(), static_cast<float>(c.real[0]), c.out[0].floats());                         \
     }}
#define MAP_PAIRS_WITH(kernel, first, second, number)                                                                  \
    {#kernel, {{#first, 'f', "*"}, {#second, 'f', "*"}}, {}, {#number}, {{"out", 'f', "*"}}, nullptr,                  \
     [](const Kernels& k, Call& c) {                                                                                   \
         k.kernel(c['*'], c.in[0].floats(), c.in[1].floats(), static_cast<float>(c.real[0]), c.out[0].floats());       \
     }}

// --- normalization -------------------------------------------------------------------------------------------------------

inline BatchNorm sizes_of(const Call& c) { return {c['N'], c['C'], c['S'], static_cast<float>(c.real[0])}; }

inline const char* check_elements(const Call& c) { return c['N'] * c['S'] == 0 ? "a channel has no elements" : nullptr; }

inline const char* check_dropout(const Call& c) {
    for (int i = 0; i < 3; ++i) {
        if (c.integer[i] < 0 || c.integer[i] > UINT32_MAX) return "keys and threshold must fit 32 bits";
    }
    return nullptr;
}

// --- linear --------------------------------------------------------------------------------------------------------------

// X rows of the gradient of x: all N, or none.
inline const char* check_linear_grads(const Call& c) {
    if (c['X'] != 0 && c['X'] != c['N']) return "X must be N, or 0";
    return (c.in[3].data == nullptr) != (c.integer[1] == NONE) ? "an activation goes with what it gave" : nullptr;
}

// --- cross-entropy -------------------------------------------------------------------------------------------------------

// N rows of C logits; L losses: N of them, or one.
inline const char* check_cross_entropy(const Call& c, const Array& target) {
    const int64_t reduction = c.integer[1];
    if (reduction < EACH || reduction > MEAN) return "reduction must be 0, 1 or 2";
    if (c['L'] != (reduction == EACH ? c['N'] : 1)) return "L must be N, or 1 for a reduction";
    for (int64_t i = 0; i < c['N']; ++i) {
        if (target.integers()[i] < 0 || target.integers()[i] >= c['C']) return "a class is out of range";
    }
    return nullptr;
}

// --- a convolution and the pooling of its P x Q maps to Y x X ------------------------------------------------------------

// The settings of the pooling follow `first` other integers.
inline Pool pool_of_maps(const Call& c, int first) {
    const int64_t* s = c.integer + first;
    return {c['N'] * c['F'], c['P'], c['Q'], s[0], s[1], c['Y'], c['X'], s[2], s[3], s[4], s[5], s[6], s[7]};
}

inline const char* check_conv_pool(const Call& c, int conv, int pool) {
    if (const char* problem = check_conv(c, conv)) return problem;
    if (1.0 * c['N'] * c['F'] * c['P'] * c['Q'] > LARGEST) return "the maps would be too large";
    if (const char* problem = check_pool_settings(pool_of_maps(c, pool), c.integer + pool)) return problem;
    return c.integer[pool] * c.integer[pool + 1] > 255 ? "a byte cannot number so many taps" : nullptr;
}

}  // namespace tensorgraph
