#include "buffers.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#endif

namespace tensorgraph {
namespace {

constexpr size_t HUGE_PAGE = size_t{2} << 20;

// Sizes are rounded up by at most an eighth, so that blocks fit again when a batch changes a little.
size_t rounded(size_t bytes) {
    size_t step = 4096;
    while (step * 16 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

void* fresh(size_t bytes) {
    const size_t alignment = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
    void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#ifdef __linux__
    if (block != nullptr && alignment == HUGE_PAGE) madvise(block, bytes, MADV_HUGEPAGE);
#endif
    return block;
}

struct Cache {
    std::mutex lock;
    std::map<size_t, std::vector<void*>> blocks;  // free ones, by rounded size
    size_t held = 0;
    size_t limit = size_t{512} << 20;

    void empty() {
        for (auto& [size, list] : blocks) {
            for (void* block : list) std::free(block);
        }
        blocks.clear();
        held = 0;
    }
};

Cache& cache() {
    static Cache* const the_cache = [] {
#ifndef _WIN32  // a child that is forked while another thread holds the lock would wait for it for ever
        pthread_atfork([] { cache().lock.lock(); }, [] { cache().lock.unlock(); }, [] { cache().lock.unlock(); });
#endif
        return new Cache;  // never destroyed: arrays may outlive it
    }();
    return *the_cache;
}

}  // namespace

void* take_block(size_t bytes) {
    if (bytes > (size_t{1} << 62)) return nullptr;
    const size_t size = rounded(bytes);
    {
        Cache& c = cache();
        const std::lock_guard<std::mutex> guard(c.lock);
        const auto found = c.blocks.find(size);
        if (found != c.blocks.end() && !found->second.empty()) {
            void* block = found->second.back();  // the most recent one is the likeliest in the processor's caches
            found->second.pop_back();
            c.held -= size;
            return block;
        }
    }
    return fresh(size);
}

void give_block(void* block, size_t bytes) {
    if (block == nullptr) return;
    const size_t size = rounded(bytes);
    Cache& c = cache();
    const std::lock_guard<std::mutex> guard(c.lock);
    if (c.held + size > c.limit) c.empty();  // most of it is of sizes that are no longer asked for
    if (size > c.limit) {
        std::free(block);
        return;
    }
    c.blocks[size].push_back(block);
    c.held += size;
}

CacheState cache_state() {
    Cache& c = cache();
    const std::lock_guard<std::mutex> guard(c.lock);
    return {static_cast<int64_t>(c.held), static_cast<int64_t>(c.limit)};
}

void set_cache_limit(int64_t bytes) {
    Cache& c = cache();
    const std::lock_guard<std::mutex> guard(c.lock);
    c.limit = static_cast<size_t>(bytes);
    c.empty();
}

void empty_cache() {
    Cache& c = cache();
    const std::lock_guard<std::mutex> guard(c.lock);
    c.empty();
}

Scratch::Scratch(int64_t floats)
    : bytes_(static_cast<size_t>(floats < 1 ? 1 : floats) * sizeof(float)), memory_(take_block(bytes_)) {
    if (memory_ == nullptr) throw std::bad_alloc();
}

}  // namespace tensorgraph
