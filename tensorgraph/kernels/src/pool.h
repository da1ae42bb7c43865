// Threads: a small pool that spins briefly and then sleeps, survives fork, and never waits for a busy pool.
#pragma once

#include <cstdint>

namespace tensorgraph {

int num_threads();            // at first 1
void set_num_threads(int n);  // 1 <= n <= 256

using Body = void (*)(void* context, int part);

// Calls body(context, part) once for every part in 0 .. parts-1 and returns when all are done. The parts run at the same
// time if the pool is free, and one after the other in the calling thread if it is not (another Python thread uses it,
// or this is a part itself). So a part must not wait for another one. Throws std::bad_alloc if one did.
void run_parts(int parts, Body body, void* context);

template <class F>
void parallel(int parts, F&& function) {
    if (parts == 1) {
        function(0);
        return;
    }
    run_parts(parts, [](void* f, int part) { (*static_cast<F*>(f))(part); }, const_cast<void*>(static_cast<const void*>(&function)));
}

// Cuts 0 .. n-1 into at most num_threads() ranges of at least `grain`, and calls function(begin, end) for each.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& function) {
    int64_t parts = grain > 0 ? n / grain : n;
    parts = parts < 1 ? 1 : parts > num_threads() ? num_threads() : parts;
    parallel(static_cast<int>(parts), [&](int part) { function(n * part / parts, n * (part + 1) / parts); });
}

}  // namespace tensorgraph
