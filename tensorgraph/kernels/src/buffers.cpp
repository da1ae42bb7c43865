#include "buffers.h"

#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__  // what is not in use must not be read
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#endif

namespace tensorgraph {
namespace {

constexpr size_t HUGE_PAGE = size_t{2} << 20;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t REGION = size_t{64} << 20, LARGEST_BLOCK = size_t{2} << 30;
#else
constexpr size_t REGION = size_t{64} << 30;  // of addresses, where the system has them; memory is taken page by page
constexpr size_t LARGEST_BLOCK = size_t{1} << 62;
#endif
constexpr size_t CHUNK = size_t{64} << 20;   // where it has not, for example because of a limit

size_t rounded(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

void unmap(char* pages, size_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(pages, bytes);
    if (bytes > 0) munmap(pages, bytes);
}

// Addresses from the system, aligned to huge pages; nullptr if it has none. `more`: flags.
char* map(size_t bytes, int more = 0) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | more;
    void* found = mmap(nullptr, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (found == MAP_FAILED) return nullptr;
    char* pages = static_cast<char*>(found);
    const size_t before = rounded(reinterpret_cast<uintptr_t>(pages), HUGE_PAGE) - reinterpret_cast<uintptr_t>(pages);
    unmap(pages, before);
    unmap(pages + before + bytes, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(pages + before, bytes, MADV_HUGEPAGE);
#endif
    ASAN_POISON_MEMORY_REGION(pages + before, bytes);
    return pages + before;
}

// Blocks are cut from the first free range that is large enough, and free neighbours become one range. So a training
// step, whose kernels ask for one size after another, takes little more memory than what is in use at a time.
struct Cache {
    std::mutex lock;
    std::map<char*, size_t> ranges;          // free, used before, none of them neighbours
    char *unused = nullptr, *end = nullptr;  // the rest of the newest region
    size_t held = 0;                         // in the ranges
    size_t limit = size_t{512} << 20;
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));  // 4096 or a multiple

    // Blocks that all began with a page would meet in the same few lines of the processor's caches. So there is a page to
    // spare, and a block begins with some line of its first page. (Under a sanitizer that is also nobody's land.)
    size_t size_of(size_t bytes) const { return rounded(bytes, page) + page; }
    size_t shift_of(char* start) const { return reinterpret_cast<uintptr_t>(start) / page * 11 % 64 * 64; }
    char* start_of(void* block) const { return static_cast<char*>(block) - reinterpret_cast<uintptr_t>(block) % page; }

    char* take(size_t size) {
        if (size > limit) return map(size);  // never held; the system refuses it if there cannot be so much memory
        for (auto range = ranges.begin(); range != ranges.end(); ++range) {
            if (range->second >= size) return cut(range, size);
        }
        return grow(size);
    }

    char* cut(std::map<char*, size_t>::iterator range, size_t size) {
        char* const block = range->first;
        held -= size;
        if (range->second > size) {
            auto rest = ranges.extract(range++);
            rest.key() += size;
            rest.mapped() -= size;
            ranges.insert(range, std::move(rest));
        } else {
            ranges.erase(range);
        }
        return block;
    }

    // A block that begins with the last free range, if that ends where the unused pages begin, and goes on there.
    char* grow(size_t size) {
        auto last = ranges.lower_bound(unused);
        if (last != ranges.begin()) --last;
        const bool joins = last != ranges.end() && last->first + last->second == unused;
        const size_t there = joins ? last->second : 0;
        if (static_cast<size_t>(end - unused) < size - there) return enter_region(size) ? take_unused(size) : nullptr;
        if (joins) {
            held -= there;
            ranges.erase(last);
            unused -= there;
        }
        return take_unused(size);
    }

    char* take_unused(size_t size) {
        unused += size;
        return unused - size;
    }

    bool enter_region(size_t size) {
        size_t bytes = rounded(size, REGION);
        char* pages = map(bytes, MAP_NORESERVE);
        if (pages == nullptr) pages = map(bytes = rounded(size, CHUNK));
        if (pages == nullptr) {
            empty();
            pages = map(bytes = size);
        }
        if (pages == nullptr) return false;
        unmap(unused, static_cast<size_t>(end - unused));
        unused = pages;
        end = pages + bytes;
        return true;
    }

    void give(char* block, size_t size) {
        if (held + size > limit) empty();
        if (size > limit) return unmap(block, size);
        held += size;
        auto next = ranges.lower_bound(block);
        if (next != ranges.end() && block + size == next->first) {
            size += next->second;
            next = ranges.erase(next);
        }
        if (next != ranges.begin()) {
            auto before = std::prev(next);
            if (before->first + before->second == block) {
                before->second += size;
                return;
            }
        }
        ranges.emplace_hint(next, block, size);
    }

    void empty() {
        for (const auto& [pages, size] : ranges) unmap(pages, size);
        ranges.clear();
        held = 0;
    }
};

Cache& cache() {
    static Cache* const the_cache = [] {
        // A child that is forked while another thread holds the lock would wait for it for ever.
        pthread_atfork([] { cache().lock.lock(); }, [] { cache().lock.unlock(); }, [] { cache().lock.unlock(); });
        return new Cache;  // never destroyed: arrays may outlive it
    }();
    return *the_cache;
}

}  // namespace

void* take_block(size_t bytes) {
    if (bytes > LARGEST_BLOCK) return nullptr;
    Cache& c = cache();
    const std::lock_guard<std::mutex> guard(c.lock);
    char* const start = c.take(c.size_of(bytes));
    if (start == nullptr) return nullptr;
    char* const block = start + c.shift_of(start);
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    return block;
}

void give_block(void* block, size_t bytes) {
    if (block == nullptr) return;
    Cache& c = cache();
    const std::lock_guard<std::mutex> guard(c.lock);
    ASAN_POISON_MEMORY_REGION(block, bytes);
    c.give(c.start_of(block), c.size_of(bytes));
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
