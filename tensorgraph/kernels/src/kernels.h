// The list of kernels. Arrays are dense and in C order, float32 unless said; sizes are 64 bits; outputs are written
// whole. Which arguments are possible is checked before (binding.cpp); the twins in ../reference say what they compute.
#pragma once

#include <cstdint>

namespace tensorgraph {

// A convolution: out[n, f, y, x] sees x[n, c, y*stride_h + i*dilation_h - top, x*stride_w + j*dilation_w - left], zeros
// where that is outside.
struct Conv {
    int64_t n, c, h, w;     // images
    int64_t f, kh, kw;      // filters, of c / groups channels
    int64_t oh, ow;         // output
    int64_t stride_h, stride_w, top, left, dilation_h, dilation_w, groups;
};

// `winograd` allows Winograd's algorithm, which rounds more, where it is faster.

enum Activation : int64_t { NONE, RELU };

#define TENSORGRAPH_KERNELS(KERNEL)                                                                                    \
    KERNEL(conv2d, (const Conv& conv, const float* x, const float* w, const float* b, float* out,                      \
            Activation act, bool winograd))                                                                            \
    KERNEL(conv2d_input_grad, (const Conv& conv, const float* g, const float* w, float* out, bool winograd))           \
    KERNEL(conv2d_weight_grad, (const Conv& conv, const float* g, const float* x, float* out, float* bias_grad,        \
            bool winograd))                                                                                            \
    KERNEL(conv2d_winograd, (const Conv& conv, int64_t tile, const float* x, const float* w, const float* b,           \
            float* out,                                                                                                \
                             Activation act))                                                                          \
    KERNEL(conv2d_winograd_input_grad, (const Conv& conv, int64_t tile, const float* g, const float* w, float* out))   \
    KERNEL(conv2d_winograd_weight_grad, (const Conv& conv, int64_t tile, const float* g, const float* x, float* out,   \
                                         float* bias_grad))                                                            \
    KERNEL(relu, (int64_t n, const float* x, float* out))                                                              \
    KERNEL(relu_grad, (int64_t n, const float* g, const float* out, float* x_grad))

struct Kernels {
#define KERNEL(name, arguments) void (*name) arguments;
    TENSORGRAPH_KERNELS(KERNEL)
#undef KERNEL
};

#define DECLARE(isa)                                                                                                   \
    namespace isa {                                                                                                    \
    extern const Kernels kernels;                                                                                      \
    }
DECLARE(baseline)
DECLARE(avx2)
DECLARE(avx512)
#undef DECLARE

}  // namespace tensorgraph
