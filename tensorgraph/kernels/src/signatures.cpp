#include "checks.h"

namespace tensorgraph {
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
    {"conv2d_max_pool2d",
     {{"x", 'f', "NCHW"}, {"w", 'f', "FKRS"}, {"b", 'f', "F", true}},
     {"P", "Q", CONV_SETTINGS, "winograd", "Y", "X", POOL_SETTINGS},
     {"negative_slope"},
     {{"out", 'f', "NFYX"}, {"winners", 'b', "NFYX"}},
     [](const Call& c) { return check_conv_pool(c, 2, 12); },
     [](const Kernels& k, Call& c) {
         k.conv2d_max_pool2d(conv_of(c, 2), pool_of_maps(c, 12), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(),
                             c.out[0].floats(), c.out[1].bytes(), static_cast<float>(c.real[0]), c.integer[9] != 0);
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
    {"conv2d_max_pool2d_weight_grad",
     {{"g", 'f', "NFYX"}, {"pooled", 'f', "NFYX", true}, {"winners", 'b', "NFYX"}, {"maps_grad", 'f', "NFPQ", true},
      {"x", 'f', "NCHW"}},
     {"K", "R", "S", "P", "Q", CONV_SETTINGS, "winograd", POOL_SETTINGS},
     {"negative_slope"},
     {{"out", 'f', "FKRS"}, {"bias_grad", 'f', "F"}},
     [](const Call& c) { return check_conv_pool(c, 5, 13); },
     [](const Kernels& k, Call& c) {
         k.conv2d_max_pool2d_weight_grad(conv_of(c, 5), pool_of_maps(c, 13), c.in[0].floats(), c.in[1].floats(),
                                         c.in[2].bytes(), c.in[3].floats(), c.in[4].floats(), c.out[0].floats(),
                                         c.out[1].floats(), static_cast<float>(c.real[0]), c.integer[12] != 0);
     }},
    {"conv2d_winograd",
     {{"x", 'f', "NCHW"}, {"w", 'f', "FKRS"}, {"b", 'f', "F", true}},
     {"P", "Q", CONV_SETTINGS, "act", "tile", "tiles_in_lanes"},
     {},
     {{"out", 'f', "NFPQ"}},
     [](const Call& c) { return check_winograd(c, 2, tiling_of(c)); },
     [](const Kernels& k, Call& c) {
         k.conv2d_winograd(conv_of(c, 2), tiling_of(c), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(),
                           c.out[0].floats(), static_cast<Activation>(c.integer[9]));
     }},
    {"conv2d_winograd_input_grad",
     {{"g", 'f', "NFPQ"}, {"w", 'f', "FKRS"}},
     {"C", "H", "W", CONV_SETTINGS, "tile", "tiles_in_lanes"},
     {},
     {{"out", 'f', "NCHW"}},
     [](const Call& c) { return check_winograd(c, 3, tiling_of(c)); },
     [](const Kernels& k, Call& c) {
         k.conv2d_winograd_input_grad(conv_of(c, 3), tiling_of(c), c.in[0].floats(), c.in[1].floats(), c.out[0].floats());
     }},
    {"conv2d_winograd_weight_grad",
     {{"g", 'f', "NFPQ"}, {"x", 'f', "NCHW"}},
     {"K", "R", "S", CONV_SETTINGS, "tile"},
     {},
     {{"out", 'f', "FKRS"}, {"bias_grad", 'f', "F"}},
     [](const Call& c) { return check_winograd(c, 3, {c.integer[10], false}); },
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
    {"pooled_activation_grad",
     {{"g", 'f', "NCPQ"}, {"maps", 'f', "NCHW"}},
     {POOL_SETTINGS, "bottom", "right", "with_padding", "act"},
     {},
     {{"x_grad", 'f', "NCHW"}},
     [](const Call& c) { return check_pool_settings(pool_of(c, 0), c.integer); },
     [](const Kernels& k, Call& c) {
         k.pooled_activation_grad(pool_of(c, 0), areas_of(c, 8), c.in[0].floats(), c.in[1].floats(), c.out[0].floats(),
                                  static_cast<Activation>(c.integer[11]));
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
     {"act"},
     {"eps"},
     {{"out", 'f', "NCS"}, {"means", 'f', "C"}, {"vars", 'f', "C"}},
     check_elements,
     [](const Kernels& k, Call& c) {
         k.batch_norm(sizes_of(c), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.out[0].floats(),
                      c.out[1].floats(), c.out[2].floats(), static_cast<Activation>(c.integer[0]));
     }},
    {"batch_norm_grad",
     {{"g", 'f', "NCS"}, {"x", 'f', "NCS"}, {"weight", 'f', "C", true}, {"bias", 'f', "C", true}, {"means", 'f', "C"},
      {"vars", 'f', "C"}},
     {"act"},
     {"eps"},
     {{"x_grad", 'f', "NCS"}, {"weight_grad", 'f', "C"}, {"bias_grad", 'f', "C"}},
     check_elements,
     [](const Kernels& k, Call& c) {
         k.batch_norm_grad(sizes_of(c), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.in[3].floats(),
                           c.in[4].floats(), c.in[5].floats(), c.out[0].floats(), c.out[1].floats(), c.out[2].floats(),
                           static_cast<Activation>(c.integer[0]));
     }},
    {"batch_norm_in_use",
     {{"x", 'f', "NCS"}, {"means", 'f', "C"}, {"vars", 'f', "C"}, {"weight", 'f', "C", true}, {"bias", 'f', "C", true}},
     {},
     {"eps"},
     {{"out", 'f', "NCS"}},
     check_elements,
     [](const Kernels& k, Call& c) {
         k.batch_norm_in_use(sizes_of(c), c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.in[3].floats(),
                             c.in[4].floats(), c.out[0].floats());
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
    {"linear_grads",
     {{"g", 'f', "NF"}, {"x", 'f', "NK"}, {"w", 'f', "FK"}, {"out", 'f', "NF", true}},
     {"X", "act"},
     {},
     {{"x_grad", 'f', "XK"}, {"w_grad", 'f', "FK"}, {"bias_grad", 'f', "F"}},
     check_linear_grads,
     [](const Kernels& k, Call& c) {
         k.linear_grads(c['N'], c['F'], c['K'], c.in[0].floats(), c.in[1].floats(), c.in[2].floats(), c.in[3].floats(),
                        c['X'] == c['N'] ? c.out[0].floats() : nullptr, c.out[1].floats(), c.out[2].floats(),
                        static_cast<Activation>(c.integer[1]));
     }},
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

std::string describe(const Signature& s) {
    std::string text = std::string(s.name) + "(";
    const auto add = [&text](const char* name, const std::string& type) {
        text += (text.back() == '(' ? "" : ", ") + std::string(name) + ": " + type;
    };
    for (int i = 0; i < s.inputs; ++i) {
        const ArrayArgument& a = s.input[i];
        add(a.name, std::string(a.type()) + "[" + a.sizes + "]" + (a.optional ? " | None" : ""));
    }
    for (int i = 0; i < s.integers; ++i) add(s.integer[i], "int");
    for (int i = 0; i < s.reals; ++i) add(s.real[i], "float");
    return text + ")";
}

}  // namespace tensorgraph
