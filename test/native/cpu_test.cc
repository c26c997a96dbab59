// SPDX-License-Identifier: Apache-2.0
// CPU detection and the choice of a kernel table: forced instruction sets really are the ones that
// run, unknown and missing ones are errors, and the number of cores follows the affinity mask.
#include "base/cpu.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include "kernels/dispatch.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

constexpr const char* kVariable = "EFFICIENTNET_SIMD_ISA";

// Sets the variable for one scope; null removes it.
class scoped_isa {
 public:
  explicit scoped_isa(const char* value) {
    const char* old = std::getenv(kVariable);
    had_ = old != nullptr;
    if (had_) old_ = old;
    set(value);
  }
  ~scoped_isa() { set(had_ ? old_.c_str() : nullptr); }

 private:
  static void set(const char* value) {
    if (value)
      setenv(kVariable, value, 1);
    else
      unsetenv(kVariable);
  }
  bool had_ = false;
  std::string old_;
};

bool named_after(const char* name, const char* isa) {
  const std::string n = name ? name : "", tail = std::string("_") + isa;
  return n.size() > tail.size() && n.compare(n.size() - tail.size(), tail.size(), tail) == 0;
}

// Every kernel of the table carries the instruction set's name and has a body.
void check_table(test_case& c, const kernel_table& t) {
  const char* names[] = {t.gemm.name, t.stem_k3s2.name, t.depthwise_k3s1.name, t.depthwise_k3s2.name,
                         t.depthwise_k5s1.name, t.depthwise_k5s2.name, t.gemv.name, t.mean.name, t.gate_weights.name,
                         t.gate_map.name};
  std::vector<std::string> seen;
  for (const char* name : names) {
    c.check(named_after(name, t.isa), "a kernel is not named <op>_f32_<params>_<isa>");
    c.check(name && std::strstr(name, "f32"), "a kernel's name lacks its element type");
    for (const std::string& other : seen) c.check(other != name, "two kernels share a name");
    seen.push_back(name ? name : "");
  }
  c.check(t.gemm.fn && t.stem_k3s2.fn && t.depthwise_k3s1.fn && t.depthwise_k3s2.fn &&
              t.depthwise_k5s1.fn && t.depthwise_k5s2.fn && t.gemv.fn && t.mean.fn && t.gate_weights.fn && t.gate_map.fn,
          "a kernel is missing");
  c.check(t.lanes >= 4 && (t.lanes & (t.lanes - 1)) == 0 && t.lanes * int(sizeof(float)) <= 64, "strange lanes");
  c.check(t.gemm_rows >= 1 && t.gemm_tallest >= t.gemm_rows && t.gemm_vectors >= 1 && t.gemm_vectors <= kMaxPanelVectors, "strange gemm tile");
  c.check(t.gemv_vectors >= 1 && t.gemv_vectors <= kMaxPanelVectors, "strange gemv panel");
}

void test_tables(tester& t) {
  {
    test_case c(t, "order", {});
    const auto& tables = all_kernel_tables();
#if defined(__x86_64__) || defined(_M_X64)
    const std::vector<std::string> expected{"avx512", "avx2", "scalar"};
#elif defined(__aarch64__) || defined(_M_ARM64)
    const std::vector<std::string> expected{"neon", "scalar"};
#else
    const std::vector<std::string> expected{"scalar"};
#endif
    std::vector<std::string> found;
    for (const kernel_table* table : tables) found.push_back(table->isa);
    c.check(found == expected, "tables are not those of this architecture, best first");
    c.check(runs_here(*tables.back()), "scalar must run everywhere");
  }
  for (const kernel_table* table : all_kernel_tables()) {
    test_case c(t, table->isa, {});
    check_table(c, *table);
    c.check(runs_here(*table) == ((table->cpu_bits & cpu_features()) == table->cpu_bits), "runs_here disagrees with the CPU");
  }
}

// By option and by environment: the table named, or an error; the option wins.
void test_forced(tester& t) {
  for (const kernel_table* table : all_kernel_tables())
    for (bool by_environment : {false, true}) {
      test_case c(t, table->isa, {{"by_environment", by_environment}});
      const scoped_isa environment(by_environment ? table->isa : nullptr);
      const kernel_table* picked = nullptr;
      const status s = pick_kernel_table(by_environment ? "" : table->isa, &picked);
      if (runs_here(*table)) {
        c.ok(s);
        c.check(picked == table, "another table was picked than the one named");
      } else {
        c.check(s.code == status_code::unsupported, "an instruction set that this CPU lacks must be unsupported");
        c.check(s.message.find(table->isa) != std::string::npos, "the message does not name the instruction set");
        c.check(picked == nullptr, "a table was picked all the same");
      }
    }
}

// Instruction sets of another processor family are known, only not here.
void test_foreign(tester& t) {
  for (const char* name : {"avx512", "avx2", "neon"}) {
    test_case c(t, "foreign", {{"length", (long long)std::strlen(name)}});
    const kernel_table* picked = nullptr;
    bool compiled_in = false;
    for (const kernel_table* table : all_kernel_tables()) compiled_in = compiled_in || std::strcmp(table->isa, name) == 0;
    const status s = pick_kernel_table(name, &picked);
    if (compiled_in) {
      c.check(s.ok() == (picked != nullptr), "a table without success, or success without a table");
      continue;
    }
    c.check(s.code == status_code::unsupported, "an instruction set of another processor must be unsupported");
    c.check(s.message.find(name) != std::string::npos, "the message does not name the instruction set");
    c.check(picked == nullptr, "a table was picked all the same");
  }
}

void test_choice(tester& t) {
  {
    test_case c(t, "best", {});
    const scoped_isa environment(nullptr);
    const kernel_table *picked = nullptr, *best = nullptr;
    for (const kernel_table* table : all_kernel_tables())
      if (!best && runs_here(*table)) best = table;
    c.ok(pick_kernel_table("", &picked));
    c.check(picked == best, "expected the first table that runs here");
  }
  {
    test_case c(t, "empty variable", {});
    const scoped_isa environment("");
    const kernel_table* picked = nullptr;
    c.ok(pick_kernel_table("", &picked));
    c.check(picked != nullptr, "an empty variable must count as none");
  }
  {
    test_case c(t, "option over environment", {});
    const scoped_isa environment("nonsense");
    const kernel_table* picked = nullptr;
    c.ok(pick_kernel_table("scalar", &picked));
    c.check(picked == all_kernel_tables().back(), "expected scalar");
  }
  for (const char* name : {"nonsense", "AVX2", "avx2 ", "avx", "sse", "scala", "scalarx", "avx512,avx2"})
    for (bool by_environment : {false, true}) {
      test_case c(t, name, {{"by_environment", by_environment}});
      const scoped_isa environment(by_environment ? name : nullptr);
      const kernel_table* picked = nullptr;
      const status s = pick_kernel_table(by_environment ? "" : name, &picked);
      c.check(s.code == status_code::invalid_argument, "an unknown instruction set must be an invalid argument");
      c.check(s.message.find(name) != std::string::npos, "the message does not say what was found");
      c.check(s.message.find("scalar") != std::string::npos, "the message does not list what is possible");
      c.check(!by_environment || s.message.find(kVariable) != std::string::npos, "the message does not name the variable");
      c.check(picked == nullptr, "a table was picked all the same");
    }
}

void test_features(tester& t) {
  {
    test_case c(t, "features", {});
    const uint32_t bits = cpu_features();
    c.check(bits == cpu_features(), "features change");
#if defined(__x86_64__) && defined(__GNUC__)
    // The compiler's runtime looks at cpuid and xgetbv by itself.
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#if defined(EFFNET_EMULATE_AVX512)
    const bool avx512 = true;
#else
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    c.check(((bits & cpu_bit::avx2_fma) != 0) == avx2, "AVX2 and FMA: found otherwise than the compiler's runtime");
    c.check(((bits & cpu_bit::avx512) != 0) == avx512, "AVX-512: found otherwise than the compiler's runtime");
    c.check((bits & cpu_bit::neon) == 0, "NEON on x86");
#elif defined(__aarch64__)
    c.check(bits == cpu_bit::neon, "expected NEON and nothing of x86");
#endif
  }
  {
    test_case c(t, "caches", {});
    const cache_sizes sizes = caches();
    c.check(sizes.l1 >= 4096 && sizes.l1 <= (1u << 24), "strange first-level cache");
    c.check(sizes.l2 >= 1u << 16 && sizes.l2 <= (1u << 30), "strange second-level cache");
    c.check(sizes.l3 >= 1u << 16, "strange third-level cache");
  }
  {
    test_case c(t, "brand", {});
    const std::string brand = cpu_brand();
    c.check(brand.size() < 200, "strange brand");
    for (char ch : brand) c.check(ch >= ' ' && ch < 127, "the brand holds characters that cannot be printed");
  }
}

void test_cores(tester& t) {
  test_case c(t, "cores", {});
  const int all = usable_cores();
  c.check(all >= 1 && all <= 65536, "strange number of cores");
#if defined(__linux__)
  cpu_set_t old, one;
  if (!c.check(sched_getaffinity(0, sizeof old, &old) == 0, "sched_getaffinity failed")) return;
  c.check(all <= CPU_COUNT(&old), "more cores than the affinity mask allows");
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
    if (CPU_ISSET(i, &old)) CPU_SET(i, &one);
  if (!c.check(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity failed")) return;
  c.check(usable_cores() == 1, "expected 1 core under an affinity mask of one");
  c.check(sched_setaffinity(0, sizeof old, &old) == 0, "sched_setaffinity failed");
  c.check(usable_cores() == all, "the number of cores did not come back");
#endif
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet;
  using namespace effnet::test;
  tester t("cpu_test");
  const long long tables = (long long)all_kernel_tables().size();
  test_tables(t);
  t.expect_count("tables", 1 + tables);
  test_forced(t);
  t.expect_count("forced", 2 * tables);
  test_foreign(t);
  t.expect_count("foreign", 3);
  test_choice(t);
  t.expect_count("choice", 3 + 8 * 2);
  test_features(t);
  t.expect_count("features", 3);
  test_cores(t);
  t.expect_count("cores", 1);
  return t.finish();
}
