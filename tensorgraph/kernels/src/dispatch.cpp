#include "dispatch.h"

#include <cstring>

namespace tensorgraph {
namespace {

struct Isa {
    const char* name;
    const Kernels* kernels;
    bool available;
};

const Isa* all() {
    static const Isa table[] = {
#if defined(__x86_64__)
        {"avx512", &avx512::kernels,
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")},
        {"avx2", &avx2::kernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {"baseline", &baseline::kernels, true},
        {nullptr, nullptr, false},
    };
    return table;
}

const Isa*& chosen() {
    static const Isa* isa = [] {
        const Isa* best = all();
        while (!best->available) ++best;
        return best;
    }();
    return isa;
}

}  // namespace

const Kernels& kernels() { return *chosen()->kernels; }

const char* isa() { return chosen()->name; }

bool choose_isa(const char* name) {
    for (const Isa* isa = all(); isa->name != nullptr; ++isa) {
        if (isa->available && std::strcmp(isa->name, name) == 0) {
            chosen() = isa;
            return true;
        }
    }
    return false;
}

const char* const* isa_names() {
    static const char* names[4] = {};
    if (names[0] == nullptr) {
        int count = 0;
        for (const Isa* isa = all(); isa->name != nullptr; ++isa) {
            if (isa->available) names[count++] = isa->name;
        }
    }
    return names;
}

}  // namespace tensorgraph
