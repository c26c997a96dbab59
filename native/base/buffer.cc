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

constexpr size_t kLine = 64, kHugePage = size_t(2) << 20;

void* allocate(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kLine;
  bytes = (bytes + alignment - 1) / alignment * alignment;
#if defined(_WIN32)
  return _aligned_malloc(bytes, alignment);
#else
  void* p = nullptr;
  if (posix_memalign(&p, alignment, bytes) != 0) return nullptr;
#if defined(MADV_HUGEPAGE)
  // A request only: where the system refuses, ordinary pages serve.
  if (alignment == kHugePage) (void)madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return p;
#endif
}

}  // namespace

status aligned_buffer::resize(size_t floats) {
  release();
  if (floats == 0) return status::success();
  if (floats <= SIZE_MAX / sizeof(float) - kHugePage) data_ = static_cast<float*>(allocate(floats * sizeof(float)));
  if (data_ == nullptr) {
    return status::error(status_code::out_of_memory,
                         "Expected " + std::to_string(floats / (1 << 18)) + " MB of memory, and the system refused; use a smaller input or close other models");
  }
  std::memset(data_, 0, floats * sizeof(float));
  size_ = floats;
  return status::success();
}

void aligned_buffer::release() {
#if defined(_WIN32)
  _aligned_free(data_);
#else
  std::free(data_);
#endif
  data_ = nullptr;
  size_ = 0;
}

}  // namespace effnet
