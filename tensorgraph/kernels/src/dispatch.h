// Which instruction sets this processor has, and the kernels of the chosen one.
#pragma once

#include "kernels.h"

namespace tensorgraph {

const Kernels& kernels();
const char* isa();                  // the name of the chosen set
bool choose_isa(const char* name);  // false if the processor lacks it, or nobody knows it
const char* const* isa_names();     // all that this processor can run, the best first, nullptr at the end

}  // namespace tensorgraph
