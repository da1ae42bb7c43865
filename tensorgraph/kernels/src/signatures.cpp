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
    {"relu",
     {{"x", 'f', "*"}},
     {},
     {},
     {{"out", 'f', "*"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.relu(c['*'], c.in[0].floats(), c.out[0].floats()); }},
    {"relu_grad",
     {{"g", 'f', "*"}, {"out", 'f', "*"}},
     {},
     {},
     {{"x_grad", 'f', "*"}},
     nullptr,
     [](const Kernels& k, Call& c) { k.relu_grad(c['*'], c.in[0].floats(), c.in[1].floats(), c.out[0].floats()); }},
};

}  // namespace tensorgraph
