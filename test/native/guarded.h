// SPDX-License-Identifier: Apache-2.0
// Float buffers between two inaccessible pages: placed at the beginning or at the end, so that a
// read or write one float outside ends the process, with the name of the case printed. Everything
// not yet written holds a canary, a quiet NaN: whoever reads it spoils the result, whoever writes it
// is found out. POSIX only.
#pragma once

#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace effnet {
namespace test {

constexpr uint32_t kCanary = 0x7fc5ca1au;

// Which end of the buffer touches a guard page.
enum class edge { begin, end };
constexpr edge kEdges[] = {edge::begin, edge::end};

// Pages between guards, kept for reuse: tests need many thousands of short-lived buffers.
class guarded_pages {
 public:
  static void* take(size_t pages) {
    std::vector<void*>& list = free_lists()[pages];
    if (!list.empty()) {
      void* base = list.back();
      list.pop_back();
      return base;
    }
    const size_t page = page_size();
    void* whole = mmap(nullptr, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED) return nullptr;
    void* base = static_cast<char*>(whole) + page;
    if (mprotect(base, pages * page, PROT_READ | PROT_WRITE) != 0) return nullptr;
    return base;
  }
  static void give_back(void* base, size_t pages) { free_lists()[pages].push_back(base); }
  static size_t page_size() {
    static const size_t size = size_t(sysconf(_SC_PAGESIZE));
    return size;
  }

 private:
  static std::map<size_t, std::vector<void*>>& free_lists() {
    static std::map<size_t, std::vector<void*>> lists;
    return lists;
  }
};

class buffer {
 public:
  // `alignment` in floats, a power of two. Maps and weights are given that of one vector rather than
  // the 64 bytes that the engine guarantees, so that their last float always touches the guard page:
  // blocks and panels inside them lie no better.
  buffer(size_t floats, edge where, size_t alignment = 1) : size_(floats) {
    const size_t page = guarded_pages::page_size();
    pages_ = std::max<size_t>(1, (floats * sizeof(float) + page - 1) / page);
    base_ = static_cast<float*>(guarded_pages::take(pages_));
    capacity_ = pages_ * page / sizeof(float);
    offset_ = where == edge::begin ? 0 : (capacity_ - floats) / alignment * alignment;
    clear();
  }
  ~buffer() { guarded_pages::give_back(base_, pages_); }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;

  float* data() { return base_ + offset_; }
  const float* data() const { return base_ + offset_; }
  size_t size() const { return size_; }
  float operator[](size_t i) const { return data()[i]; }
  float& operator[](size_t i) { return data()[i]; }

  void clear() { std::fill_n(reinterpret_cast<uint32_t*>(base_), capacity_, kCanary); }
  void assign(const std::vector<float>& values) { std::copy_n(values.data(), std::min(values.size(), size_), data()); }
  bool untouched(size_t i) const { return is_canary(data() + i); }
  bool slack_intact() const {
    for (size_t i = 0; i < offset_; ++i)
      if (!is_canary(base_ + i)) return false;
    for (size_t i = offset_ + size_; i < capacity_; ++i)
      if (!is_canary(base_ + i)) return false;
    return true;
  }

 private:
  static bool is_canary(const float* p) {
    uint32_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return bits == kCanary;
  }

  size_t size_, pages_ = 0, capacity_ = 0, offset_ = 0;
  float* base_ = nullptr;
};

// What the signal handler prints.
inline std::string& crash_text() {
  static std::string text;
  return text;
}

inline void on_crash(int signal_number) {
  const char* what = signal_number == SIGILL ? "FAIL illegal instruction: " : "FAIL memory outside a buffer: ";
  const std::string& text = crash_text();
  ssize_t written = write(STDOUT_FILENO, what, std::strlen(what));
  written += write(STDOUT_FILENO, text.data(), text.size());
  written += write(STDOUT_FILENO, "\n0 passed, 1 failed\n", 20);
  _exit(written > 0 ? 1 : 2);
}

inline void install_crash_handler() {
  static const bool installed = [] {
    for (int number : {SIGSEGV, SIGBUS, SIGILL}) std::signal(number, on_crash);
    return true;
  }();
  (void)installed;
}

}  // namespace test
}  // namespace effnet
