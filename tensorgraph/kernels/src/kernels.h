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

// Windows over planes (the channels of all images); as in Conv, the rest of the padding follows from the sizes.
struct Pool {
    int64_t planes, h, w, kh, kw, oh, ow;
    int64_t stride_h, stride_w, top, left, dilation_h, dilation_w;
};

struct Areas {  // what an average divides by: elements in the padding count or do not
    int64_t bottom, right;
    bool with_padding;
};

struct BatchNorm {
    int64_t n, c, size;  // images, channels, elements of a channel of an image
    float eps;
};

struct Tiling {  // of Winograd's algorithm
    int64_t size;   // of a tile, in outputs along each axis
    bool in_lanes;  // the lanes of vectors hold neighbouring tiles; or channels
};

enum Activation : int64_t { NONE, RELU, TANH, SIGMOID };
enum Reduction : int64_t { EACH, SUM, MEAN };

// A parameter that an optimizer changes. Its state: the running sum of SGD, or the two means of Adam.
struct Piece {
    int64_t size;
    float* value;
    const float* gradient;
    float* state[2];
};
struct SgdOptions {
    float lr, momentum, share, weight_decay;  // share: of the gradient in the running sum
    bool nesterov, fresh;                     // fresh: the running sum starts now
};
struct AdamOptions {
    float lr, share1, beta2, share2, root_scale, eps, weight_decay, shrink;  // the corrections for t in lr, root_scale
};

// `winograd` allows Winograd's algorithm, which rounds more, where it is faster.
#define TENSORGRAPH_KERNELS(KERNEL)                                                                                    \
    KERNEL(conv2d, (const Conv& conv, const float* x, const float* w, const float* b, float* out, Activation act,      \
                    bool winograd))                                                                                    \
    KERNEL(conv2d_max_pool2d, (const Conv& conv, const Pool& pool, const float* x, const float* w, const float* b,     \
                               float* out, uint8_t* winners, float slope, bool winograd))                              \
    KERNEL(conv2d_input_grad, (const Conv& conv, const float* g, const float* w, float* out, bool winograd))           \
    KERNEL(conv2d_weight_grad, (const Conv& conv, const float* g, const float* x, float* out, float* bias_grad,        \
                                bool winograd))                                                                        \
    KERNEL(conv2d_max_pool2d_weight_grad, (const Conv& conv, const Pool& pool, const float* g, const float* pooled,    \
                                           const uint8_t* winners, const float* maps_grad, const float* x, float* out, \
                                           float* bias_grad, float slope, bool winograd))                              \
    KERNEL(conv2d_winograd, (const Conv& conv, const Tiling& tiling, const float* x, const float* w, const float* b,   \
                             float* out, Activation act))                                                              \
    KERNEL(conv2d_winograd_input_grad, (const Conv& conv, const Tiling& tiling, const float* g, const float* w,        \
                                        float* out))                                                                   \
    KERNEL(conv2d_winograd_weight_grad, (const Conv& conv, int64_t tile, const float* g, const float* x, float* out,   \
                                         float* bias_grad))                                                            \
    KERNEL(max_pool2d, (const Pool& pool, const float* x, float* out, uint8_t* winners))                               \
    KERNEL(max_pool2d_grad, (const Pool& pool, const float* g, const uint8_t* winners, float* x_grad))                 \
    KERNEL(max_pool2d_take, (const Pool& pool, const float* x, const uint8_t* winners, float* out))                    \
    KERNEL(avg_pool2d, (const Pool& pool, const Areas& areas, const float* x, float* out))                             \
    KERNEL(avg_pool2d_grad, (const Pool& pool, const Areas& areas, const float* g, float* x_grad))                     \
    KERNEL(pooled_activation_grad, (const Pool& pool, const Areas& areas, const float* g, const float* maps,           \
                                    float* x_grad, Activation act))                                                    \
    KERNEL(row_means, (int64_t n, int64_t size, const float* x, float* out))                                           \
    KERNEL(row_means_grad, (int64_t n, int64_t size, const float* g, float* x_grad))                                   \
    KERNEL(channel_sums, (int64_t n, int64_t c, int64_t size, const float* x, float* out))                             \
    KERNEL(add, (int64_t n, const float* x, const float* y, float* out))                                               \
    KERNEL(batch_norm, (const BatchNorm& sizes, const float* x, const float* weight, const float* bias, float* out,    \
                        float* means, float* vars, Activation act))                                                                    \
    KERNEL(batch_norm_grad, (const BatchNorm& sizes, const float* g, const float* x, const float* weight,              \
                             const float* bias, const float* means, const float* vars, float* x_grad,                  \
                             float* weight_grad, float* bias_grad, Activation act))                                                                        \
    KERNEL(batch_norm_in_use, (const BatchNorm& sizes, const float* x, const float* means, const float* vars,          \
                               const float* weight, const float* bias, float* out))                                    \
    KERNEL(dropout, (int64_t n, const float* x, uint32_t key, uint32_t second_key, uint32_t threshold, float scale,    \
                     float* out))                                                                                      \
    KERNEL(relu, (int64_t n, const float* x, float* out))                                                              \
    KERNEL(relu_grad, (int64_t n, const float* g, const float* out, float* x_grad))                                    \
    KERNEL(leaky_relu, (int64_t n, const float* x, float slope, float* out))                                           \
    KERNEL(leaky_relu_grad, (int64_t n, const float* g, const float* x, float slope, float* x_grad))                   \
    KERNEL(sigmoid, (int64_t n, const float* x, float* out))                                                           \
    KERNEL(sigmoid_grad, (int64_t n, const float* g, const float* out, float* x_grad))                                 \
    KERNEL(tanh, (int64_t n, const float* x, float* out))                                                              \
    KERNEL(tanh_grad, (int64_t n, const float* g, const float* out, float* x_grad))                                    \
    KERNEL(elu, (int64_t n, const float* x, float alpha, float* out))                                                  \
    KERNEL(elu_grad, (int64_t n, const float* g, const float* x, float alpha, float* x_grad))                          \
    KERNEL(softplus, (int64_t n, const float* x, float* out))                                                          \
    KERNEL(softplus_grad, (int64_t n, const float* g, const float* x, float* x_grad))                                  \
    KERNEL(normal_cdf, (int64_t n, const float* x, float* out))                                                        \
    KERNEL(gelu, (int64_t n, const float* x, float* out))                                                              \
    KERNEL(gelu_grad, (int64_t n, const float* g, const float* x, float* x_grad))\
    KERNEL(linear, (int64_t n, int64_t f, int64_t k, const float* x, const float* w, const float* b, float* out,       \
                    Activation act))                                                                                   \
    KERNEL(matmul, (int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out))                      \
    KERNEL(matmul_tn, (int64_t m, int64_t n, int64_t k, const float* x, const float* y, float* out))                   \
    KERNEL(linear_grads, (int64_t n, int64_t f, int64_t k, const float* g, const float* x, const float* w,             \
                          const float* out, float* x_grad, float* w_grad, float* bias_grad, Activation act))           \
    KERNEL(softmax, (int64_t n, int64_t c, const float* x, float* out))                                                \
    KERNEL(softmax_grad, (int64_t n, int64_t c, const float* g, const float* out, float* x_grad))                      \
    KERNEL(log_softmax, (int64_t n, int64_t c, const float* x, float* out))                                            \
    KERNEL(log_softmax_grad, (int64_t n, int64_t c, const float* g, const float* out, float* x_grad))                  \
    KERNEL(softmax_cross_entropy, (int64_t n, int64_t c, const float* logits, const int64_t* target, float* out,       \
                                   float* probabilities, Reduction reduction))                                         \
    KERNEL(softmax_cross_entropy_grad, (int64_t n, int64_t c, const float* g, const float* probabilities,              \
                                        const int64_t* target, float* logits_grad, Reduction reduction))

// What works in place, on lists of arrays; update_binding.cpp checks their arguments.
#define TENSORGRAPH_UPDATES(KERNEL)                                                                                    \
    KERNEL(sgd, (const Piece* pieces, int64_t count, const SgdOptions& options))                                       \
    KERNEL(adam, (const Piece* pieces, int64_t count, const AdamOptions& options))

struct Kernels {
#define KERNEL(name, arguments) void (*name) arguments;
    TENSORGRAPH_KERNELS(KERNEL)
    TENSORGRAPH_UPDATES(KERNEL)
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
