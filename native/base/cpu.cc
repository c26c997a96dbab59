// SPDX-License-Identifier: Apache-2.0
// What this processor and this process may use.
#include "base/cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#define EFFNET_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif
#if defined(__linux__) && defined(__aarch64__)
#include <sys/auxv.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace effnet {

namespace {

#if defined(EFFNET_X86)
struct registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

registers cpuid(uint32_t leaf, uint32_t subleaf) {
  registers r;
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, int(leaf), int(subleaf));
  r = {uint32_t(out[0]), uint32_t(out[1]), uint32_t(out[2]), uint32_t(out[3])};
#else
  if (__get_cpuid_max(leaf & 0x80000000u, nullptr) >= leaf) __cpuid_count(leaf, subleaf, r.a, r.b, r.c, r.d);
#endif
  return r;
}

// Register state that the operating system saves (XCR0).
uint64_t saved_state() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
#endif
}

// Intel SDM volume 1, 14.3 and 15.2: the feature bits alone do not suffice, the system must save ymm
// (XCR0 bits 1-2) and, for AVX-512, the opmask and zmm registers (bits 5-7).
uint32_t detect_x86() {
  const registers one = cpuid(1, 0), seven = cpuid(7, 0);
  constexpr uint32_t kOsxsave = 1u << 27, kAvx = 1u << 28, kFma = 1u << 12;
  if ((one.c & kOsxsave) == 0) return 0;
  const uint64_t saved = saved_state();
  uint32_t bits = 0;
  constexpr uint32_t kAvx2 = 1u << 5;
  const bool ymm = (saved & 0x6) == 0x6 && (one.c & kAvx) != 0;
  if (ymm && (one.c & kFma) != 0 && (seven.b & kAvx2) != 0) bits |= cpu_bit::avx2_fma;
  constexpr uint32_t kF = 1u << 16, kDq = 1u << 17, kBw = 1u << 30, kVl = 1u << 31;
  constexpr uint32_t kAll = kF | kDq | kBw | kVl;
  if (ymm && bits != 0 && (saved & 0xe6) == 0xe6 && (seven.b & kAll) == kAll) bits |= cpu_bit::avx512;
#if defined(EFFNET_EMULATE_AVX512)
  bits |= cpu_bit::avx512;  // a build for tests, whose table for AVX-512 needs none of it
#endif
  return bits;
}
#endif

#if defined(__linux__)
std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : std::string();
}

int affinity_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return 0;  // more than 1024 CPUs: the caller falls back to the system's count
}

// Cores' worth of quota in one cgroup directory, or 0 for none. v2: "max 100000" or "150000 100000";
// v1: two files, quota -1 for none.
double quota_of(const std::string& v2_directory, const std::string& v1_directory) {
  std::istringstream two(read_text(v2_directory + "/cpu.max"));
  double quota = 0, period = 0;
  if (two >> quota >> period && quota > 0 && period > 0) return quota / period;
  std::istringstream q(read_text(v1_directory + "/cpu.cfs_quota_us")), p(read_text(v1_directory + "/cpu.cfs_period_us"));
  if (q >> quota && p >> period && quota > 0 && period > 0) return quota / period;
  return 0;
}

// The tightest quota of this process's cgroup and its parents. /proc/self/cgroup lists
// "0::/path" for v2 and "4:cpu,cpuacct:/path" for v1.
double cgroup_quota() {
  std::istringstream lines(read_text("/proc/self/cgroup"));
  std::string line, two, one;
  while (std::getline(lines, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == ",,") two = line.substr(second + 1);
    if (controllers.find(",cpu,") != std::string::npos) one = line.substr(second + 1);
  }
  double least = 0;
  for (;;) {
    const double here = quota_of("/sys/fs/cgroup" + two, "/sys/fs/cgroup/cpu" + one);
    if (here > 0 && (least == 0 || here < least)) least = here;
    const auto parent = [](std::string& path) {
      const size_t slash = path.rfind('/');
      const bool more = slash != std::string::npos && !path.empty();
      path = more ? path.substr(0, slash) : std::string();
      return more;
    };
    const bool more_two = parent(two), more_one = parent(one);
    if (!more_two && !more_one) return least;
  }
}

size_t cache_size(const char* index) {
  std::istringstream text(read_text(std::string("/sys/devices/system/cpu/cpu0/cache/") + index + "/size"));
  size_t n = 0;
  char unit = 0;
  text >> n >> unit;
  return unit == 'M' ? n << 20 : unit == 'K' ? n << 10 : n;
}
#endif

}  // namespace

uint32_t cpu_features() {
#if defined(EFFNET_X86)
  static const uint32_t bits = detect_x86();
  return bits;
#elif defined(__linux__) && defined(__aarch64__)
  constexpr unsigned long kAsimd = 1ul << 1;  // HWCAP_ASIMD
  return (getauxval(AT_HWCAP) & kAsimd) != 0 ? cpu_bit::neon : 0;
#elif defined(__aarch64__) || defined(_M_ARM64)
  return cpu_bit::neon;  // part of every such system other than Linux
#else
  return 0;
#endif
}

int usable_cores() {
  int cores = int(std::thread::hardware_concurrency());
#if defined(__linux__)
  const int affinity = affinity_cores();
  if (affinity > 0) cores = affinity;
  const double quota = cgroup_quota();
  if (quota > 0) cores = std::min(cores, int(std::ceil(quota)));
#endif
  return std::max(cores, 1);
}

cache_sizes caches() {
  cache_sizes found;
#if defined(__linux__)
  if (const size_t n = cache_size("index0")) found.l1 = n;
  if (const size_t n = cache_size("index2")) found.l2 = n;
  if (const size_t n = cache_size("index3")) found.l3 = n;
#elif defined(__APPLE__)
  const auto ask = [](const char* name, size_t* into) {
    int64_t value = 0;
    size_t size = sizeof value;
    if (sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value > 0) *into = size_t(value);
  };
  ask("hw.l1dcachesize", &found.l1);
  ask("hw.l2cachesize", &found.l2);
#endif
  return found;
}

bool divides_slowly() {
#if defined(EFFNET_X86)
  static const bool slowly = [] {
    const registers vendor = cpuid(0, 0);
    return vendor.b == 0x756e6547 && vendor.d == 0x49656e69 && vendor.c == 0x6c65746e;  // "GenuineIntel"
  }();
  return slowly;
#else
  return false;
#endif
}

std::string cpu_brand() {
#if defined(EFFNET_X86)
  char text[49] = {};
  if (cpuid(0x80000000u, 0).a < 0x80000004u) return {};
  for (uint32_t i = 0; i < 3; ++i) {
    const registers r = cpuid(0x80000002u + i, 0);
    std::memcpy(text + 16 * i, &r, 16);
  }
  const std::string brand(text);
  const size_t first = brand.find_first_not_of(' ');
  return first == std::string::npos ? std::string() : brand.substr(first, brand.find_last_not_of(' ') + 1 - first);
#elif defined(__APPLE__)
  char text[128] = {};
  size_t size = sizeof text - 1;
  return sysctlbyname("machdep.cpu.brand_string", text, &size, nullptr, 0) == 0 ? text : "";
#else
  return {};
#endif
}

}  // namespace effnet
