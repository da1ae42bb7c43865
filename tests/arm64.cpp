// Some kernels against plain loops, where there is no Python for the processor: bash .ci/arm64 compiles and runs it.
#include <cmath>
#include <cstdio>
#include <vector>

#include "../tensorgraph/kernels/src/kernels.h"
#include "../tensorgraph/kernels/src/pool.h"

using namespace tensorgraph;
using Floats = std::vector<float>;

namespace {

int failures = 0;

Floats numbers(int64_t n, uint32_t seed) {  // between -1 and 1
    Floats values(n);
    for (float& value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(seed >> 8) / (1 << 23) - 1;
    }
    return values;
}

void compare(const char* what, const Floats& got, const std::vector<double>& expected, double slack) {
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        const double far = std::fabs(got[i] - expected[i]);
        if (!(far <= worst)) worst = far;
    }
    const bool right = worst <= slack;
    failures += !right;
    std::printf("%-24s differs by %.1e: %s\n", what, worst, right ? "right" : "WRONG");
}

std::vector<double> convolved(const Conv& v, const Floats& x, const Floats& w) {
    std::vector<double> out(v.n * v.f * v.oh * v.ow);
    for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
        const int64_t ox = i % v.ow, oy = i / v.ow % v.oh, f = i / v.ow / v.oh % v.f, n = i / v.ow / v.oh / v.f;
        for (int64_t c = 0; c < v.c; ++c) {
            for (int64_t r = 0; r < v.kh; ++r) {
                for (int64_t s = 0; s < v.kw; ++s) {
                    const int64_t y = oy * v.stride_h + r - v.top, at = ox * v.stride_w + s - v.left;
                    if (y < 0 || y >= v.h || at < 0 || at >= v.w) continue;
                    out[i] += double{x[((n * v.c + c) * v.h + y) * v.w + at]} * w[((f * v.c + c) * v.kh + r) * v.kw + s];
                }
            }
        }
    }
    return out;
}

}  // namespace

int main() {
    set_num_threads(2);
    const Kernels& k = baseline::kernels;
    for (const int64_t stride : {1, 2}) {
        const int64_t size = (13 + 2 - 3) / stride + 1;
        const Conv v{2, 20, 13, 13, 33, 3, 3, size, size, stride, stride, 1, 1, 1, 1, 1};
        const Floats x = numbers(v.n * v.c * v.h * v.w, 1), w = numbers(v.f * v.c * 9, 2);
        Floats out(v.n * v.f * size * size, NAN);
        k.conv2d(v, x.data(), w.data(), nullptr, out.data(), NONE, false);
        compare("conv2d", out, convolved(v, x, w), 1e-5);
        if (stride == 2) continue;
        for (const bool in_lanes : {false, true}) {
            k.conv2d_winograd(v, {4, in_lanes}, x.data(), w.data(), nullptr, out.data(), NONE);
            compare("conv2d_winograd", out, convolved(v, x, w), 1e-4);
        }
    }
    const Floats x = numbers(67 * 45, 3), y = numbers(45 * 33, 4);
    std::vector<double> products(67 * 33), powers(x.size()), halves(x.size());
    for (int64_t i = 0; i < 67 * 33; ++i) {
        for (int64_t j = 0; j < 45; ++j) products[i] += double{x[i / 33 * 45 + j]} * y[j * 33 + i % 33];
    }
    Floats out(67 * 33, NAN), same(x.size(), NAN);
    k.matmul(67, 33, 45, x.data(), y.data(), out.data());
    compare("matmul", out, products, 1e-5);
    for (size_t row = 0; row < 67; ++row) {
        double sum = 0;
        for (size_t i = row * 45; i < row * 45 + 45; ++i) sum += powers[i] = std::exp(double{x[i]});
        for (size_t i = row * 45; i < row * 45 + 45; ++i) powers[i] /= sum;
    }
    k.softmax(67, 45, x.data(), same.data());
    compare("softmax", same, powers, 1e-7);
    for (size_t i = 0; i < x.size(); ++i) halves[i] = std::tanh(double{x[i]});
    k.tanh(static_cast<int64_t>(x.size()), x.data(), same.data());
    compare("tanh", same, halves, 1e-6);
    return failures;
}
