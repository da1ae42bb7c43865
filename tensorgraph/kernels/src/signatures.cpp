#include "signatures.h"

namespace tensorgraph {
namespace {

// --- convolution ---------------------------------------------------------------------------------------------------------

#define CONV_SETTINGS "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w", "groups"

// N images of C x H x W, F filters of K x R x S, outputs of P x Q; the settings follow `first` other integers.
Conv conv_of(const Call& c, int first) {
    const int64_t* s = c.integer + first;
    return {c['N'], c['C'], c['H'], c['W'], c['F'], c['R'], c['S'], c['P'], c['Q'],
            s[0],   s[1],   s[2],   s[3],   s[4],   s[5],   s[6]};
}

const char* check_conv(const Call& c, int first) {
    const Conv v = conv_of(c, first);
    if (v.stride_h < 1 || v.stride_w < 1 || v.dilation_h < 1 || v.dilation_w < 1) return "strides and dilations must be positive";
    if (v.top < 0 || v.left < 0) return "paddings must not be negative";
    if (v.kh < 1 || v.kw < 1) return "filters must not be empty";
    if (v.groups < 1 || v.c % v.groups != 0 || v.f % v.groups != 0) return "groups must divide the channels and the filters";
    if (v.c / v.groups != c['K']) return "the filters' channels do not fit the images'";
    return nullptr;
}

// Winograd's algorithm, for tiles of `tile` x `tile` outputs.
const char* check_winograd(const Call& c, int first, int64_t tile) {
    if (const char* problem = check_conv(c, first)) return problem;
    const Conv v = conv_of(c, first);
    if (v.stride_h != 1 || v.stride_w != 1 || v.dilation_h != 1 || v.dilation_w != 1 || v.groups != 1) {
        return "strides, dilations and groups must be 1";
    }
    if (!(v.kh == v.kw && ((v.kh == 3 && (tile == 2 || tile == 4)) || (v.kh == 5 && tile == 2)))) {
        return "filters must be 3x3, with tile 2 or 4, or 5x5, with tile 2";
    }
    if (v.top >= v.kh || v.left >= v.kw) return "paddings must be smaller than the filters";
    return nullptr;
}

// --- pooling -------------------------------------------------------------------------------------------------------------

#define POOL_SETTINGS "kernel_h", "kernel_w", "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w"

// Images of H x W, outputs of P x Q; the settings follow two integers, H and W or P and Q.
Pool pool_of(const Call& c) {
    const int64_t* s = c.integer + 2;
    return {c['N'] * c['C'], c['H'], c['W'], s[0], s[1], c['P'], c['Q'], s[2], s[3], s[4], s[5], s[6], s[7]};
}

Areas areas_of(const Call& c) { return {c.integer[10], c.integer[11], c.integer[12] != 0}; }

const char* check_pool(const Call& c) {
    for (int i = 2; i < 10; ++i) {
        const int64_t least = i == 6 || i == 7 ? 0 : 1;
        if (c.integer[i] < least) return "kernel, strides and dilations must be positive, paddings not negative";
        if (c.integer[i] > INT32_MAX) return "the settings are absurd";
    }
    if (c['P'] > INT32_MAX || c['Q'] > INT32_MAX) return "so many windows are absurd";
    return nullptr;
}

const char* check_winners(const Call& c) {
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

BatchNorm sizes_of(const Call& c) { return {c['N'], c['C'], c['S'], static_cast<float>(c.real[0])}; }

const char* check_elements(const Call& c) { return c['N'] * c['S'] == 0 ? "a channel has no elements" : nullptr; }

const char* check_dropout(const Call& c) {
    for (int i = 0; i < 3; ++i) {
        if (c.integer[i] < 0 || c.integer[i] > UINT32_MAX) return "keys and threshold must fit 32 bits";
    }
    return nullptr;
}

// --- cross-entropy -------------------------------------------------------------------------------------------------------

// N rows of C logits; L losses: N of them, or one.
const char* check_cross_entropy(const Call& c, const Array& target) {
    const int64_t reduction = c.integer[1];
    if (reduction < EACH || reduction > MEAN) return "reduction must be 0, 1 or 2";
    if (c['L'] != (reduction == EACH ? c['N'] : 1)) return "L must be N, or 1 for a reduction";
    for (int64_t i = 0; i < c['N']; ++i) {
        if (target.integers()[i] < 0 || target.integers()[i] >= c['C']) return "a class is out of range";
    }
    return nullptr;
}

}  // namespace

extern const Signature signatures[KERNEL_COUNT] = {
    {"conv2d",
     {{"x", 'f', "NCHW"}, {"w", 'f', "FKRS"}, {"b", 'f', "F", true}},
     {"P", "Q", CONV_SETTINGS, "act", "winograd"},
     {},
     {{"out", 'f', "NFPQ"}},
     [](const Call& c) { return check_conv(c, 2); },
     [](const Kernels& k, Call& c) {
         k.conv2d(conv_of(c, 2), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.out[0].floats(),
                  static_cast<Activation>(c.integer[9]), c.integer[10] != 0);
     }},
    {"conv2d_input_grad",
     {{"g", 'f', "NFPQ"}, {"w", 'f', "FKRS"}},
     {"C", "H", "W", CONV_SETTINGS, "winograd"},
     {},
     {{"out", 'f', "NCHW"}},
     [](const Call& c) { return check_conv(c, 3); },
     [](const Kernels& k, Call& c) {
         k.conv2d_input_grad(conv_of(c, 3), c.in[0].floats(), c.in[1].floats(), c.out[0].floats(), c.integer[10] != 0);
     }},
    {"conv2d_weight_grad",
     {{"g", 'f', "NFPQ"}, {"x", 'f', "NCHW"}},
     {"K", "R", "S", CONV_SETTINGS, "winograd"},
     {},
     {{"out", 'f', "FKRS"}, {"bias_grad", 'f', "F"}},
     [](const Call& c) { return check_conv(c, 3); },
     [](const Kernels& k, Call& c) {
         k.conv2d_weight_grad(conv_of(c, 3), c.in[0].floats(), c.in[1].floats(), c.out[0].floats(), c.out[1].floats(),
                              c.integer[10] != 0);
     }},
    {"conv2d_winograd",
     {{"x", 'f', "NCHW"}, {"w", 'f', "FKRS"}, {"b", 'f', "F", true}},
     {"P", "Q", CONV_SETTINGS, "act", "tile"},
     {},
     {{"out", 'f', "NFPQ"}},
     [](const Call& c) { return check_winograd(c, 2, c.integer[10]); },
     [](const Kernels& k, Call& c) {
         k.conv2d_winograd(conv_of(c, 2), c.integer[10], c.in[0].floats(), c.in[1].floats(), c.in[2].floats(),
                           c.out[0].floats(), static_cast<Activation>(c.integer[9]));
     }},
    {"conv2d_winograd_input_grad",
     {{"g", 'f', "NFPQ"}, {"w", 'f', "FKRS"}},
     {"C", "H", "W", CONV_SETTINGS, "tile"},
     {},
     {{"out", 'f', "NCHW"}},
     [](const Call& c) { return check_winograd(c, 3, c.integer[10]); },
     [](const Kernels& k, Call& c) {
         k.conv2d_winograd_input_grad(conv_of(c, 3), c.integer[10], c.in[0].floats(), c.in[1].floats(), c.out[0].floats());
     }},
    {"conv2d_winograd_weight_grad",
     {{"g", 'f', "NFPQ"}, {"x", 'f', "NCHW"}},
     {"K", "R", "S", CONV_SETTINGS, "tile"},
     {},
     {{"out", 'f', "FKRS"}, {"bias_grad", 'f', "F"}},
     [](const Call& c) { return check_winograd(c, 3, c.integer[10]); },
     [](const Kernels& k, Call& c) {
         k.conv2d_winograd_weight_grad(conv_of(c, 3), c.integer[10], c.in[0].floats(), c.in[1].floats(),
                                       c.out[0].floats(), c.out[1].floats());
     }},
    {"max_pool2d",
     {{"x", 'f', "NCHW"}},
     {"P", "Q", POOL_SETTINGS},
     {},
     {{"out", 'f', "NCPQ"}, {"winners", 'b', "NCPQ"}},
     check_winners,
     [](const Kernels& k, Call& c) {
         k.max_pool2d(pool_of(c), c.in[0].floats(), c.out[0].floats(), c.out[1].bytes());
     }},
    {"max_pool2d_grad",
     {{"g", 'f', "NCPQ"}, {"winners", 'b', "NCPQ"}},
     {"H", "W", POOL_SETTINGS},
     {},
     {{"x_grad", 'f', "NCHW"}},
     check_winners,
     [](const Kernels& k, Call& c) {
         k.max_pool2d_grad(pool_of(c), c.in[0].floats(), c.in[1].bytes(), c.out[0].floats());
     }},
    {"max_pool2d_take",
     {{"x", 'f', "NCHW"}, {"winners", 'b', "NCPQ"}},
     {"P", "Q", POOL_SETTINGS},
     {},
     {{"out", 'f', "NCPQ"}},
     check_winners,
     [](const Kernels& k, Call& c) {
         k.max_pool2d_take(pool_of(c), c.in[0].floats(), c.in[1].bytes(), c.out[0].floats());
     }},
    {"avg_pool2d",
     {{"x", 'f', "NCHW"}},
     {"P", "Q", POOL_SETTINGS, "bottom", "right", "with_padding"},
     {},
     {{"out", 'f', "NCPQ"}},
     check_pool,
     [](const Kernels& k, Call& c) { k.avg_pool2d(pool_of(c), areas_of(c), c.in[0].floats(), c.out[0].floats()); }},
    {"avg_pool2d_grad",
     {{"g", 'f', "NCPQ"}},
     {"H", "W", POOL_SETTINGS, "bottom", "right", "with_padding"},
     {},
     {{"x_grad", 'f', "NCHW"}},
     check_pool,
     [](const Kernels& k, Call& c) {
         k.avg_pool2d_grad(pool_of(c), areas_of(c), c.in[0].floats(), c.out[0].floats());
     }},
    {"row_means",
     {{"x", 'f', "RS"}},
     {},
     {},
     {{"out", 'f', "R"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.row_means(c['R'], c['S'], c.in[0].floats(), c.out[0].floats()); }},
    {"row_means_grad",
     {{"g", 'f', "R"}},
     {"S"},
     {},
     {{"x_grad", 'f', "RS"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.row_means_grad(c['R'], c['S'], c.in[0].floats(), c.out[0].floats()); }},
    {"channel_sums",
     {{"x", 'f', "NCS"}},
     {},
     {},
     {{"out", 'f', "C"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.channel_sums(c['N'], c['C'], c['S'], c.in[0].floats(), c.out[0].floats()); }},
    MAP_PAIRS(add, x, y),
    {"batch_norm",
     {{"x", 'f', "NCS"}, {"weight", 'f', "C", true}, {"bias", 'f', "C", true}},
     {},
     {"eps"},
     {{"out", 'f', "NCS"}, {"means", 'f', "C"}, {"vars", 'f', "C"}},
     check_elements,
     [](const Kernels& k, Call& c) {
         k.batch_norm(sizes_of(c), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.out[0].floats(),
                      c.out[1].floats(), c.out[2].floats());
     }},
    {"batch_norm_grad",
     {{"g", 'f', "NCS"}, {"x", 'f', "NCS"}, {"weight", 'f', "C", true}, {"means", 'f', "C"}, {"vars", 'f', "C"}},
     {},
     {"eps"},
     {{"x_grad", 'f', "NCS"}, {"weight_grad", 'f', "C"}, {"bias_grad", 'f', "C"}},
     check_elements,
     [](const Kernels& k, Call& c) {
         k.batch_norm_grad(sizes_of(c), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.in[3].floats(),
                           c.in[4].floats(), c.out[0].floats(), c.out[1].floats(), c.out[2].floats());
     }},
    {"dropout",
     {{"x", 'f', "*"}},
     {"key", "second_key", "threshold"},
     {"scale"},
     {{"out", 'f', "*"}},
     check_dropout,
     [](const Kernels& k, Call& c) {
         k.dropout(c['*'], c.in[0].floats(), static_cast<uint32_t>(c.integer[0]), static_cast<uint32_t>(c.integer[1]),
                   static_cast<uint32_t>(c.integer[2]), static_cast<float>(c.real[0]), c.out[0].floats());
     }},
    MAP(relu),
    MAP_PAIRS(relu_grad, g, out),
    MAP_WITH(leaky_relu, negative_slope),
    MAP_PAIRS_WITH(leaky_relu_grad, g, x, negative_slope),
    MAP(sigmoid),
    MAP_PAIRS(sigmoid_grad, g, out),
    MAP(tanh),
    MAP_PAIRS(tanh_grad, g, out),
    MAP_WITH(elu, alpha),
    MAP_PAIRS_WITH(elu_grad, g, x, alpha),
    MAP(softplus),
    MAP_PAIRS(softplus_grad, g, x),
    MAP(normal_cdf),
    MAP(gelu),
    MAP_PAIRS(gelu_grad, g, x),
    {"linear",
     {{"x", 'f', "NK"}, {"w", 'f', "FK"}, {"b", 'f', "F", true}},
     {"act"},
     {},
     {{"out", 'f', "NF"}},
     nullptr,
     [](const Kernels& k, Call& c) {
         k.linear(c['N'], c['F'], c['K'], c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.out[0].floats(),
                  static_cast<Activation>(c.integer[0]));
     }},
    {"matmul",
     {{"x", 'f', "MK"}, {"y", 'f', "KN"}},
     {},
     {},
     {{"out", 'f', "MN"}},
     nullptr,
     [](const Kernels& k, Call& c) {
         k.matmul(c['M'], c['N'], c['K'], c.in[0].floats(), c.in[1].floats(), c.out[0].floats());
     }},
    {"matmul_tn",
     {{"x", 'f', "KM"}, {"y", 'f', "KN"}},
     {},
     {},
     {{"out", 'f', "MN"}},
     nullptr,
     [](const Kernels& k, Call& c) {
         k.matmul_tn(c['M'], c['N'], c['K'], c.in[0].floats(), c.in[1].floats(), c.out[0].floats());
     }},
    {"column_sums",
     {{"x", 'f', "NF"}},
     {},
     {},
     {{"out", 'f', "F"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.column_sums(c['N'], c['F'], c.in[0].floats(), c.out[0].floats()); }},
    {"softmax",
     {{"x", 'f', "NC"}},
     {},
     {},
     {{"out", 'f', "NC"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.softmax(c['N'], c['C'], c.in[0].floats(), c.out[0].floats()); }},
    {"softmax_grad",
     {{"g", 'f', "NC"}, {"out", 'f', "NC"}},
     {},
     {},
     {{"x_grad", 'f', "NC"}},
     nullptr,
     [](const Kernels& k, Call& c) {
         k.softmax_grad(c['N'], c['C'], c.in[0].floats(), c.in[1].floats(), c.out[0].floats());
     }},
    {"log_softmax",
     {{"x", 'f', "NC"}},
     {},
     {},
     {{"out", 'f', "NC"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.log_softmax(c['N'], c['C'], c.in[0].floats(), c.out[0].floats()); }},
    {"log_softmax_grad",
     {{"g", 'f', "NC"}, {"out", 'f', "NC"}},
     {},
     {},
     {{"x_grad", 'f', "NC"}},
     nullptr,
     [](const Kernels& k, Call& c) {
         k.log_softmax_grad(c['N'], c['C'], c.in[0].floats(), c.in[1].floats(), c.out[0].floats());
     }},
    {"softmax_cross_entropy",
     {{"logits", 'f', "NC"}, {"target", 'i', "N"}},
     {"L", "reduction"},
     {},
     {{"out", 'f', "L"}, {"probabilities", 'f', "NC"}},
     [](const Call& c) { return check_cross_entropy(c, c.in[1]); },
     [](const Kernels& k, Call& c) {
         k.softmax_cross_entropy(c['N'], c['C'], c.in[0].floats(), c.in[1].integers(), c.out[0].floats(),
                                 c.out[1].floats(), static_cast<Reduction>(c.integer[1]));
     }},
    {"softmax_cross_entropy_grad",
     {{"g", 'f', "L"}, {"probabilities", 'f', "NC"}, {"target", 'i', "N"}},
     {"L", "reduction"},
     {},
     {{"logits_grad", 'f', "NC"}},
     [](const Call& c) { return check_cross_entropy(c, c.in[2]); },
     [](const Kernels& k, Call& c) {
         k.softmax_cross_entropy_grad(c['N'], c['C'], c.in[0].floats(), c.in[1].floats(), c.in[2].integers(),
                                      c.out[0].floats(), static_cast<Reduction>(c.integer[1]));
     }},
};

}  // namespace tensorgraph
