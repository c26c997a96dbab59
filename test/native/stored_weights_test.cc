// SPDX-License-Identifier: Apache-2.0
// Weights as a checkpoint has them: rows and batch norms against a naive reading in double precision, bit for
// bit; every 16-bit number; what is not finite, or no variance; memory given back; and networks that run the same whichever way
// their weights were handed over.
#include "engine/stored_weights.h"

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>

#include "random_network.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

constexpr element_type kTypes[] = {element_type::f32, element_type::f16, element_type::bf16, element_type::f64};

// By the definition of each format, from its bits.
double half_value(uint32_t bits) {
  const double sign = bits & 0x8000 ? -1 : 1;
  const int exponent = int(bits >> 10 & 31), fraction = int(bits & 1023);
  if (exponent == 31) return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}
double bfloat_value(uint32_t bits) {
  const double sign = bits & 0x8000 ? -1 : 1;
  const int exponent = int(bits >> 7 & 255), fraction = int(bits & 127);
  if (exponent == 255) return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  if (exponent == 0) return sign * std::ldexp(fraction, -133);
  return sign * std::ldexp(128 + fraction, exponent - 134);
}

struct number {
  uint8_t bytes[8];
  double value;
};

number random_number(random_source& random, element_type type) {
  number n{};
  if (type == element_type::f32) {
    const float v = random.between(-2, 2);
    std::memcpy(n.bytes, &v, sizeof v);
    n.value = v;
  } else if (type == element_type::f64) {
    n.value = double(random.between(-2, 2)) * (1 + 1e-9 * random.below(1000));
    std::memcpy(n.bytes, &n.value, sizeof n.value);
  } else {
    // Any exponent but that of infinities.
    const uint16_t bits = uint16_t(random.next() & (type == element_type::f16 ? 0xbbffu : 0xbf7fu));
    std::memcpy(n.bytes, &bits, sizeof bits);
    n.value = type == element_type::f16 ? half_value(bits) : bfloat_value(bits);
  }
  return n;
}

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Bytes that end at a guard page, off the alignment of their elements by `shift`.
struct guarded_bytes {
  explicit guarded_bytes(size_t size, size_t shift) : memory((size + shift + 3) / 4 + 1, edge::end), at(reinterpret_cast<uint8_t*>(memory.data() + memory.size()) - size - shift) {}
  buffer memory;
  uint8_t* at;
};

long long test_rows(tester& t, random_source& random) {
  long long count = 0;
  for (element_type type : kTypes)
    for (bool last : {false, true})
      for (bool scaled : {false, true})
        for (int n : {1, 5, 48})
          for (int in : {1, 3, 17})
            for (int taps : {1, 9})
              for (int shift : {0, 1}) {
                test_case c(t, "read_rows", {{"type", int(type)}, {"last", last}, {"scaled", scaled}, {"n", n}, {"in", in}, {"taps", taps}, {"shift", shift}});
                ++count;
                const size_t each = element_bytes(type), size = size_t(n) * in * taps;
                guarded_bytes bytes(size * each, size_t(shift));
                std::vector<double> values(size), factors(static_cast<size_t>(n));
                for (size_t i = 0; i < size; ++i) {
                  const number x = random_number(random, type);
                  std::memcpy(bytes.at + i * each, x.bytes, each);
                  values[i] = x.value;
                }
                for (double& f : factors) f = double(random.between(-1, 1)) / 3;
                const stored_weights w{bytes.at, type, last, {}, false};
                const int first = n / 3, rows = n - first;
                buffer dst(size_t(rows) * in * taps, edge::end);
                c.check(read_rows(w, scaled ? factors.data() : nullptr, n, in, taps, first, rows, dst.data()), "finite weights were refused");
                bool same = true;
                for (int o = first; o < n; ++o)
                  for (int i = 0; i < in; ++i)
                    for (int tap = 0; tap < taps; ++tap) {
                      const size_t from = last ? (size_t(tap) * in + i) * n + o : (size_t(o) * in + i) * taps + tap;
                      const double exact = values[from] * (scaled ? factors[size_t(o)] : 1.0);
                      same = same && same_bits(dst[(size_t(o - first) * in + i) * taps + tap], float(exact));
                    }
                c.check(same, "other bits than in double precision");
                c.check(dst.slack_intact(), "written outside the rows");
              }
  return count;
}

long long test_every_half(tester& t) {
  for (element_type type : {element_type::f16, element_type::bf16}) {
    test_case c(t, "every 16-bit number", {{"type", int(type)}});
    long long wrong = 0;
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const uint16_t word = uint16_t(bits);
      const double value = type == element_type::f16 ? half_value(bits) : bfloat_value(bits);
      float found = 0;
      const bool finite = read_rows({reinterpret_cast<const uint8_t*>(&word), type, false, {}, false}, nullptr, 1, 1, 1, 0, 1, &found);
      wrong += finite != std::isfinite(value) || (finite && !same_bits(found, float(value)));
    }
    c.check(wrong == 0, (std::to_string(wrong) + " numbers differ").c_str());
  }
  return 2;
}

long long test_not_finite(tester& t) {
  long long count = 0;
  const double infinity = std::numeric_limits<double>::infinity();
  for (bool last : {false, true})
    for (double bad : {std::nan(""), infinity, -infinity, 1e300})
      for (int at = 0; at < 24; ++at) {
        test_case c(t, "not finite", {{"last", last}, {"at", at}});
        ++count;
        std::vector<double> values(24, 1.0);
        const std::vector<double> zeros(4, 0.0);
        values[size_t(at)] = bad;
        const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
        float dst[24];
        c.check(!read_rows({bytes, element_type::f64, last, {}, false}, nullptr, 4, 6, 1, 0, 4, dst), "it was accepted");
        // 1e300 times 0 is a number, which is all that counts.
        c.check(read_rows({bytes, element_type::f64, last, {}, false}, zeros.data(), 4, 6, 1, 0, 4, dst) == std::isfinite(bad), "wrong when scaled by 0");
      }
  return count;
}

// Four vectors of one type each, all ending at guard pages; `set` changes a number before they are read.
struct norm_case {
  norm_case(random_source& random, int n, const element_type (&types)[4], double epsilon) : factors(size_t(n)), bias(size_t(n), edge::end) {
    stored_vector* const vectors[] = {&norm.scale, &norm.shift, &norm.mean, &norm.variance};
    norm.epsilon = epsilon;
    for (int v = 0; v < 4; ++v) {
      const size_t each = element_bytes(types[v]);
      bytes.push_back(std::make_unique<guarded_bytes>(size_t(n) * each, 1));
      for (int o = 0; o < n; ++o) {
        number x = random_number(random, types[v]);
        while (v == 3 && !(x.value > 0)) x = random_number(random, types[v]);
        std::memcpy(bytes.back()->at + size_t(o) * each, x.bytes, each);
        values[v].push_back(x.value);
      }
      *vectors[v] = {bytes.back()->at, types[v]};
    }
  }
  void set(int vector, int o, double value) {  // of f64
    std::memcpy(bytes[size_t(vector)]->at + size_t(o) * 8, &value, sizeof value);
    values[vector][size_t(o)] = value;
  }
  bool fold() { return fold_norm(norm, int(factors.size()), factors.data(), bias.data()); }

  stored_norm norm;
  std::vector<std::unique_ptr<guarded_bytes>> bytes;
  std::vector<double> values[4];
  std::vector<double> factors;
  buffer bias;
};

long long test_norms(tester& t, random_source& random) {
  long long count = 0;
  for (element_type first : kTypes)
    for (element_type second : kTypes)
      for (int n : {1, 7, 40}) {
        test_case c(t, "fold_norm", {{"scale", int(first)}, {"variance", int(second)}, {"n", n}});
        ++count;
        norm_case one(random, n, {first, second, first, second}, 1e-3);
        c.check(one.fold(), "a sound norm was refused");
        bool same = true;
        for (size_t o = 0; o < size_t(n); ++o) {
          const double factor = one.values[0][o] / std::sqrt(one.values[3][o] + 1e-3);
          same = same && one.factors[o] == factor && same_bits(one.bias[o], float(one.values[1][o] - one.values[2][o] * factor));
        }
        c.check(same, "other bits than in double precision");
      }
  return count;
}

long long test_unsound_norms(tester& t, random_source& random) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  struct {
    int vector;
    double value, epsilon;
    bool sound;
  } const cases[] = {{0, nan, 1e-3, false},      {0, infinity, 1e-3, false}, {1, nan, 1e-3, false},  {1, -infinity, 1e-3, false},
                     {1, 1e300, 1e-3, false},    {2, nan, 1e-3, false},      {2, 1e300, 1e-3, false}, {3, nan, 1e-3, false},
                     {3, infinity, 1e-3, false}, {3, -1e-9, 1e-3, false},    {3, 0, 0, false},       {3, 0, 1e-3, true}};
  long long count = 0;
  for (const auto& [vector, value, epsilon, sound] : cases)
    for (int at : {0, 8}) {
      test_case c(t, "unsound norm", {{"vector", vector}, {"case", count}, {"at", at}});
      ++count;
      constexpr element_type f64 = element_type::f64;
      norm_case one(random, 9, {f64, f64, f64, f64}, epsilon);
      one.set(vector, at, value);
      c.check(one.fold() == sound, sound ? "it was refused" : "it was accepted");
      for (int o = 0; o < 9; ++o) one.set(3, o, 0);
      c.check(!one.fold(), "nothing but variances of zero was accepted");
    }
  return count;
}

long long test_release(tester& t) {
  const size_t page = guarded_pages::page_size(), floats_of_page = page / sizeof(float);
  for (bool spent : {true, false}) {
    test_case c(t, "release", {{"spent", spent}});
    const size_t size = 6 * floats_of_page;
    buffer memory(size, edge::begin);
    memory.assign(std::vector<float>(size, 1.0f));
    // From the middle of the second page to that of the fifth.
    const size_t first = floats_of_page + floats_of_page / 2, count = 3 * floats_of_page;
    release({reinterpret_cast<const uint8_t*>(memory.data() + first), element_type::f32, false, {}, spent}, count);
    size_t zeros = 0;
    bool neighbours = true;
    for (size_t i = 0; i < size; ++i) {
      zeros += memory[i] == 0.0f;
      if (i < 2 * floats_of_page || i >= 4 * floats_of_page) neighbours = neighbours && memory[i] == 1.0f;
    }
    c.check(neighbours, "memory beside the whole pages was touched");
#if defined(__linux__)
    c.check(zeros == (spent ? 2 * floats_of_page : 0), "the whole pages should be zero if spent, else as before");
#endif
  }
  return 2;
}

// ---- networks ---------------------------------------------------------------------------------------

using visitor = std::function<void(floats& weights, floats& bias, int n, int in, int taps)>;
void visit(mbconv_block& b, const visitor& see) {
  if (b.has_expand) see(b.expand_weights, b.expand_bias, b.expanded, b.in, 1);
  see(b.depthwise_weights, b.depthwise_bias, b.expanded, 1, b.kernel * b.kernel);
  if (b.squeeze != 0) {
    see(b.reduce_weights, b.reduce_bias, b.squeeze, b.expanded, 1);
    see(b.excite_weights, b.excite_bias, b.expanded, b.squeeze, 1);
  }
  see(b.project_weights, b.project_bias, b.out, b.expanded, 1);
}
void visit(fused_block& b, const visitor& see) {
  see(b.conv_weights, b.conv_bias, b.expanded, b.in, b.kernel * b.kernel);
  if (b.has_project) see(b.project_weights, b.project_bias, b.out, b.expanded, 1);
}
void visit(network& net, const visitor& see) {
  see(net.stem.weights, net.stem.bias, net.stem.out, 3, 9);
  for (block& b : net.blocks) std::visit([&](auto& one) { visit(one, see); }, b);
  see(net.head.conv_weights, net.head.conv_bias, net.head.features, net.head.in, 1);
  if (net.head.hidden != 0) see(net.head.hidden_weights, net.head.hidden_bias, net.head.hidden, net.head.features, 1);
  see(net.head.classifier_weights, net.head.classifier_bias, net.head.classes, net.head.embedding(), 1);
}

// The same network with stored weights, every second layer with a batch norm. Its factors are powers of
// two, so that products are exact; its mean is zero, so that the bias is the shift.
struct stored_network {
  stored_network(const network& from, random_source& random, bool last) : net(from) {
    visit(net, [&](floats& w, floats& bias, int n, int in, int taps) {
      const bool has_norm = tensors.size() % 2 == 0;
      std::vector<double>& f = scales.emplace_back(size_t(n), 1.0);
      std::vector<float>& values = tensors.emplace_back(w.size);
      if (has_norm)
        for (double& x : f) x = std::ldexp(1.0, random.below(9) - 4);
      for (int o = 0; o < n; ++o)
        for (int i = 0; i < in; ++i)
          for (int tap = 0; tap < taps; ++tap) {
            const size_t to = last ? (size_t(tap) * in + i) * n + o : (size_t(o) * in + i) * taps + tap;
            values[to] = w.data[(size_t(o) * in + i) * taps + tap] / float(f[size_t(o)]);
          }
      std::optional<stored_norm> norm;
      if (has_norm) {
        const std::vector<float>&zeros = vectors.emplace_back(size_t(n), 0.0f), &ones = vectors.emplace_back(size_t(n), 1.0f);
        norm = {{bytes_of(f), element_type::f64}, {bytes_of(bias.data), element_type::f32}, {bytes_of(zeros), element_type::f32},
                {bytes_of(ones), element_type::f32}, 0.0};
        bias = {};
      }
      stored.push_back({bytes_of(values), element_type::f32, last, norm, true});
      w = {nullptr, w.size, &stored.back()};
    });
  }
  static const uint8_t* bytes_of(const void* at) { return static_cast<const uint8_t*>(at); }
  template <class T>
  static const uint8_t* bytes_of(const std::vector<T>& v) { return bytes_of(v.data()); }

  network net;
  std::deque<std::vector<double>> scales;
  std::deque<std::vector<float>> vectors;
  std::deque<std::vector<float>> tensors;
  std::deque<stored_weights> stored;
};

std::unique_ptr<random_network> sample_network(random_source& random, const kernel_table& table) {
  const std::vector<block_shape> blocks = {{0, 8, 3, 1, 4},  {table.lanes + 1, 8, 5, 2, 3}, {100, table.lanes + 2, 7, 1, 0},
                                           {40, 12, 3, 2, 0, true}, {0, 12, 3, 1, 0, true}};
  return std::make_unique<random_network>(random, padding::same, 3 * table.lanes + 2, blocks, 300, 21, 70);
}

std::vector<float> logits_of(test_case& c, const network& net, const kernel_table& table, const std::vector<float>& pixels) {
  std::shared_ptr<const model> m;
  std::unique_ptr<executor> e;
  input_image image;
  if (!c.ok(model::create(net, table, &m)) || !c.ok(executor::create(m, 1, &e)) || !c.ok(fill_image(image, pixels, 20, 24))) return {};
  std::vector<float> logits(size_t(m->classes()));
  c.ok(e->run(image, {logits.data(), nullptr}, nullptr));
  return logits;
}

long long test_networks(tester& t, const kernel_table& table) {
  random_source random(11);
  for (bool last : {false, true}) {
    test_case c(t, "network", {{"last", last}});
    const auto r = sample_network(random, table);
    const stored_network stored(r->net, random, last);
    const std::vector<float> pixels = random_pixels(random, 20, 24);
    const std::vector<float> expected = logits_of(c, r->net, table, pixels), found = logits_of(c, stored.net, table, pixels);
    c.check(!found.empty() && found == expected, "stored weights gave other bits");
  }
  return 2;
}

// Every layer in turn: named by its number, and no model comes out.
long long test_refused(tester& t, const kernel_table& table) {
  random_source random(12);
  const auto r = sample_network(random, table);
  stored_network stored(r->net, random, false);
  long long count = 0;
  for (size_t i = 0; i < stored.tensors.size(); ++i) {
    test_case c(t, "refused", {{"layer", (long long)i}});
    ++count;
    stored_network broken(r->net, random, false);
    broken.tensors[i].back() = std::numeric_limits<float>::infinity();
    std::shared_ptr<const model> m;
    const status s = model::create(broken.net, table, &m);
    c.check(s.code == status_code::invalid_argument && m == nullptr, "expected an error");
    c.check(s.message.find("finite weights in layer " + std::to_string(i) + " ") != std::string::npos, s.message.c_str());
    if (!broken.stored[i].norm) continue;
    broken.tensors[i].back() = 1;
    broken.scales[i].back() = std::nan("");
    const status norm = model::create(broken.net, table, &m);
    c.check(norm.code == status_code::invalid_argument && m == nullptr, "expected an error of the batch norm");
    c.check(norm.message.find("positive in layer " + std::to_string(i) + " ") != std::string::npos, norm.message.c_str());
  }
  test_case c(t, "stopped", {});
  std::shared_ptr<const model> m;
  const std::atomic<bool> stop{true};
  c.check(model::create(stored.net, table, &m, &stop).code == status_code::cancelled && m == nullptr, "it was not stopped");
  return count + 1;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("stored_weights");
  random_source random(7);
  t.expect_count("rows", test_rows(t, random));
  t.expect_count("every half", test_every_half(t));
  t.expect_count("not finite", test_not_finite(t));
  t.expect_count("norms", test_norms(t, random));
  t.expect_count("unsound norms", test_unsound_norms(t, random));
  t.expect_count("release", test_release(t));
  for (const effnet::kernel_table* table : t.tables()) {
    t.expect_count("networks", test_networks(t, *table));
    t.expect_count("refused", test_refused(t, *table));
    t.note_table(*table);
  }
  return t.finish();
}
