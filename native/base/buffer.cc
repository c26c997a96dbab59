// SPDX-License-Identifier: Apache-2.0
// Owning aligned buffer of floats.
#include "base/buffer.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(_WIN32)
#include <malloc.h>
#else
#include <sys/mman.h>
#endif

namespace effnet {

namespace {

// kPages is a multiple of every size of ordinary pages: 4, 16 and 64 KB.
constexpr size_t kLine = 64, kPages = size_t(64) << 10, kHugePage = size_t(2) << 20;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

#if defined(_WIN32)

void* allocate(size_t bytes) {
  bytes = round_up(bytes, kLine);
  void* p = _aligned_malloc(bytes, kLine);
  if (p != nullptr) std::memset(p, 0, bytes);
  return p;
}
void give_back(void* p, size_t) { _aligned_free(p); }

#else

// Large buffers are mappings of their own: fresh pages are zero already (clearing 22 MB once more takes
// 2 ms), and freed ones go back to the system at once, which malloc only does sometimes.
bool is_mapped(size_t bytes) { return bytes >= kHugePage; }

// What remains behind the last whole huge page is left to ordinary ones, so that it takes no more than it needs.
void* map_pages(size_t bytes) {
  bytes = round_up(bytes, kPages);
  void* whole = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (whole == MAP_FAILED) return nullptr;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(whole), at = round_up(begin, kHugePage);
  if (at > begin) (void)munmap(whole, at - begin);
  if (at < begin + kHugePage) (void)munmap(reinterpret_cast<void*>(at + bytes), begin + kHugePage - at);
  void* p = reinterpret_cast<void*>(at);
#if defined(MADV_HUGEPAGE)
  (void)madvise(p, bytes, MADV_HUGEPAGE);  // a request only: where the system refuses, ordinary pages serve
#endif
  return p;
}

void* allocate(size_t bytes) {
  if (is_mapped(bytes)) return map_pages(bytes);
  bytes = round_up(bytes, kLine);
  void* p = nullptr;
  if (posix_memalign(&p, kLine, bytes) != 0) return nullptr;
  std::memset(p, 0, bytes);
  return p;
}
void give_back(void* p, size_t bytes) {
  if (p != nullptr && is_mapped(bytes)) {
    (void)munmap(p, round_up(bytes, kPages));
  } else {
    std::free(p);
  }
}

#endif

}  // namespace

status aligned_buffer::resize(size_t floats) {
  release();
  if (floats == 0) return status::success();
  if (floats <= SIZE_MAX / sizeof(float) - 2 * kHugePage) data_ = static_cast<float*>(allocate(floats * sizeof(float)));
  if (data_ == nullptr) {
    return status::error(status_code::out_of_memory,
                         "Expected " + std::to_string(floats / (1 << 18)) + " MB of memory, and the system refused; use a smaller input or close other models");
  }
  size_ = floats;
  return status::success();
}

void aligned_buffer::release() {
  give_back(data_, size_ * sizeof(float));
  data_ = nullptr;
  size_ = 0;
}

}  // namespace effnet
