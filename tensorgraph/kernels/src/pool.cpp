#include "pool.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <thread>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace tensorgraph {
namespace {

// Long enough to meet the next region of a training step awake, short enough to leave the core to other programs.
constexpr auto WORKER_SPINS = std::chrono::microseconds(50);
constexpr auto CALLER_SPINS = std::chrono::microseconds(20);

thread_local bool inside = false;  // this thread runs a part

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Returns when the value is no longer `old`: spins a while, then sleeps until the value is changed and notified.
void await_change(const std::atomic<uint32_t>& value, uint32_t old, std::chrono::microseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    do {
        for (int i = 0; i < 64; ++i) {
            if (value.load(std::memory_order_acquire) != old) return;
            relax();
        }
    } while (std::chrono::steady_clock::now() < end);
    value.wait(old, std::memory_order_acquire);
}

// One region at a time: whoever holds `busy` fills in the job, opens it, and raises `round` to wake the workers. A worker
// that comes late finds the job closed and sleeps again; nobody waits for it.
//
// The caller takes parts from the front, the workers from the back. So a thread gets much the same parts in one step of a
// training as in the next, and finds in its caches what it has written there.
struct Pool {
    std::mutex busy;
    std::atomic<uint32_t> round{0};
    std::atomic<uint32_t> active{0};  // workers that may be looking at the job
    std::atomic<bool> open{false};
    std::atomic<int> claimed{0};  // parts that somebody has taken; more if there were none left
    std::atomic<int> from_back{0};
    std::atomic<bool> starved{false};  // a part found no memory
    Body body = nullptr;
    void* context = nullptr;
    int parts = 0;
    int workers = 0;

    template <class F>
    void work(F next) {
        try {
            while (claimed.fetch_add(1) < parts) body(context, next());
        } catch (const std::bad_alloc&) {  // must not leave a thread of ours, nor the others alone with the job
            starved.store(true);
            claimed.store(parts);
        }
    }

    void serve(uint32_t seen) {
        inside = true;
        for (;;) {
            await_change(round, seen, WORKER_SPINS);
            seen = round.load();
            active.fetch_add(1);
            if (open.load()) work([this] { return parts - 1 - from_back.fetch_add(1); });
            if (active.fetch_sub(1) == 1) active.notify_one();
        }
    }

    void hire(int wanted) {
        for (; workers < wanted; ++workers) {
            std::thread([this, seen = round.load()] { serve(seen); }).detach();
        }
    }

    void run(int count, Body function, void* argument) {
        body = function;
        context = argument;
        parts = count;
        starved.store(false);
        claimed.store(0);
        from_back.store(0);
        open.store(true);
        round.fetch_add(1);
        round.notify_all();
        work([front = 0]() mutable { return front++; });
        open.store(false);
        for (uint32_t looking = active.load(); looking != 0; looking = active.load()) {
            await_change(active, looking, CALLER_SPINS);
        }
    }
};

std::atomic<int> threads{1};

// Never destroyed: sleeping workers may outlive everything else in the process. A forked child has no workers, so it
// starts with a new pool and leaves the old one, in whatever state it was, behind.
std::atomic<Pool*> the_pool{nullptr};

Pool& pool() {
    static const bool once = [] {
        the_pool = new Pool;
#ifndef _WIN32
        pthread_atfork(nullptr, nullptr, [] {
            the_pool = new Pool;
            inside = false;
        });
#endif
        return true;
    }();
    (void)once;
    return *the_pool;
}

}  // namespace

int num_threads() { return threads.load(std::memory_order_relaxed); }

void set_num_threads(int n) { threads = n; }

void run_parts(int parts, Body body, void* context) {
    Pool& p = pool();
    if (!inside && num_threads() > 1) {
        std::unique_lock<std::mutex> lock(p.busy, std::try_to_lock);
        if (lock.owns_lock()) {
            p.hire(num_threads() - 1);
            inside = true;
            p.run(parts, body, context);
            inside = false;
            if (p.starved.load()) throw std::bad_alloc();
            return;
        }
    }
    for (int part = 0; part < parts; ++part) body(context, part);
}

}  // namespace tensorgraph
