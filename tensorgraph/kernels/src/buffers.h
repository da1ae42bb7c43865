// Memory that is used again: fresh pages cost more than most kernels' arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tensorgraph {

// A block of at least so many bytes, aligned to 64; nullptr if there is no memory. Its content is anything.
void* take_block(size_t bytes);
void give_block(void* block, size_t bytes);  // with the bytes that were asked for

struct CacheState {
    int64_t held_bytes;  // in free blocks
    int64_t limit_bytes;
};
CacheState cache_state();
void set_cache_limit(int64_t bytes);  // empties the cache, too
void empty_cache();

// Working memory of a kernel, given back at the end of the block. Throws std::bad_alloc.
class Scratch {
  public:
    explicit Scratch(int64_t floats);
    ~Scratch() { give_block(memory_, bytes_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    float* floats() const { return static_cast<float*>(memory_); }

  private:
    size_t bytes_;
    void* memory_;
};

}  // namespace tensorgraph
