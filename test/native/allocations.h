// SPDX-License-Identifier: Apache-2.0
// Counts every allocation of the process, on any thread: with glibc by standing in for malloc (which
// operator new calls), under a sanitizer through its hook, elsewhere by standing in for operator new.
// Include in exactly one file of a test.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EFFNET_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EFFNET_SANITIZED 1
#endif
#if defined(EFFNET_SANITIZED)
#include <sanitizer/allocator_interface.h>
#endif

namespace effnet {
namespace test {

inline std::atomic<long long>& allocation_counter() {
  static std::atomic<long long> count{0};
  return count;
}

inline long long allocations() {
#if defined(EFFNET_SANITIZED)
  static const int installed = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, size_t) { ++allocation_counter(); }, [](const volatile void*) {});
  (void)installed;
#endif
  return allocation_counter();
}

}  // namespace test
}  // namespace effnet

#if defined(EFFNET_SANITIZED)
// The hook sees everything.
#elif defined(__GLIBC__)
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t size) {
  ++effnet::test::allocation_counter();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++effnet::test::allocation_counter();
  return __libc_calloc(count, size);
}
void* realloc(void* p, size_t size) {
  ++effnet::test::allocation_counter();
  return __libc_realloc(p, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  ++effnet::test::allocation_counter();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
  ++effnet::test::allocation_counter();
  *out = __libc_memalign(alignment, size);
  constexpr int kNoMemory = 12;  // ENOMEM
  return *out == nullptr ? kNoMemory : 0;
}
void free(void* p) { __libc_free(p); }
}
#else
void* operator new(size_t size) {
  ++effnet::test::allocation_counter();
  if (void* p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
#endif
