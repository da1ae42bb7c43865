// The kernels of one instruction set, compiled once for each.
#include "kernels.h"
#include "simd.h"

namespace tensorgraph {
namespace TENSORGRAPH_ISA {

#define KERNEL(name, arguments) void name arguments;
TENSORGRAPH_KERNELS(KERNEL)
TENSORGRAPH_UPDATES(KERNEL)
#undef KERNEL

extern const Kernels kernels = {
#define KERNEL(name, arguments) name,
    TENSORGRAPH_KERNELS(KERNEL)
    TENSORGRAPH_UPDATES(KERNEL)
#undef KERNEL
};

}  // namespace TENSORGRAPH_ISA
}  // namespace tensorgraph
