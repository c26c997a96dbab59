// SPDX-License-Identifier: Apache-2.0
// What the engine refuses, saying what was expected: networks with anything wrong in them, numbers of
// threads, sizes, images that are not there. Afterwards it works as before.
#include <limits>

#include "engine_session.h"

namespace effnet {
namespace test {
namespace {

using breaker = void (*)(network&);
struct broken {
  const char* name;
  breaker apply;
  status_code code;
  const char* word;
};

mbconv_block& mb(network& n, size_t i) { return std::get<mbconv_block>(n.blocks[i]); }
fused_block& fused(network& n, size_t i) { return std::get<fused_block>(n.blocks[i]); }
floats one_less(const floats& f) { return {f.data, f.size - 1}; }

constexpr status_code kInvalid = status_code::invalid_argument, kUnsupported = status_code::unsupported;
const broken kBroken[] = {
    {"stem channels", [](network& n) { n.stem.in = 4; }, kUnsupported, "stem"},
    {"stem kernel", [](network& n) { n.stem.kernel = 5; }, kUnsupported, "stem"},
    {"stem stride", [](network& n) { n.stem.stride = 1; }, kUnsupported, "stem"},
    {"stem outputs", [](network& n) { n.stem.out = 0; }, kInvalid, "stem"},
    {"stem negative", [](network& n) { n.stem.out = -8; }, kInvalid, "stem"},
    {"stem huge", [](network& n) { n.stem.out = std::numeric_limits<int>::max(); }, kInvalid, "stem"},
    {"stem weights", [](network& n) { n.stem.weights = one_less(n.stem.weights); }, kInvalid, "stem"},
    {"stem bias", [](network& n) { n.stem.bias = one_less(n.stem.bias); }, kInvalid, "stem"},
    {"inputs", [](network& n) { ++mb(n, 1).in; }, kInvalid, "1"},
    {"expanded", [](network& n) { ++mb(n, 1).expanded; }, kInvalid, "1"},
    {"expanded alone", [](network& n) { ++mb(n, 0).expanded; }, kInvalid, "0"},
    {"expanded zero", [](network& n) { mb(n, 1).expanded = 0; }, kInvalid, "1"},
    {"expanded huge", [](network& n) { mb(n, 1).expanded = std::numeric_limits<int>::max(); }, kInvalid, "1"},
    {"expand weights", [](network& n) { mb(n, 1).expand_weights = one_less(mb(n, 1).expand_weights); }, kInvalid, "expand"},
    {"expand bias", [](network& n) { mb(n, 1).expand_bias = {}; }, kInvalid, "expand"},
    {"depthwise weights", [](network& n) { mb(n, 2).depthwise_weights = {}; }, kInvalid, "depthwise"},
    {"depthwise bias", [](network& n) { mb(n, 2).depthwise_bias = one_less(mb(n, 2).depthwise_bias); }, kInvalid, "depthwise"},
    {"kernel huge", [](network& n) { mb(n, 2).kernel = 33; }, kUnsupported, "33"},
    {"kernel negative", [](network& n) { mb(n, 2).kernel = -3; }, kUnsupported, "-3"},
    {"kernel even", [](network& n) { mb(n, 2).kernel = 4; }, kUnsupported, "4"},
    {"stride", [](network& n) { mb(n, 2).stride = 3; }, kUnsupported, "3"},
    {"stride zero", [](network& n) { mb(n, 2).stride = 0; }, kUnsupported, "0"},
    {"squeeze negative", [](network& n) { mb(n, 0).squeeze = -1; }, kInvalid, "0"},
    {"reduce weights", [](network& n) { mb(n, 0).reduce_weights = one_less(mb(n, 0).reduce_weights); }, kInvalid, "reduce"},
    {"reduce bias", [](network& n) { mb(n, 0).reduce_bias = {}; }, kInvalid, "reduce"},
    {"excite weights", [](network& n) { mb(n, 0).excite_weights = {}; }, kInvalid, "excite"},
    {"excite bias", [](network& n) { mb(n, 0).excite_bias = one_less(mb(n, 0).excite_bias); }, kInvalid, "excite"},
    {"project weights", [](network& n) { mb(n, 3).project_weights = {}; }, kInvalid, "project"},
    {"project bias", [](network& n) { mb(n, 3).project_bias = one_less(mb(n, 3).project_bias); }, kInvalid, "project"},
    {"project outputs", [](network& n) { mb(n, 3).out = 0; }, kInvalid, "project"},
    {"residual stride", [](network& n) { mb(n, 2).residual = true; }, kInvalid, "residual"},
    {"fused inputs", [](network& n) { ++fused(n, 5).in; }, kInvalid, "5"},
    {"fused outputs", [](network& n) { ++fused(n, 4).out; }, kInvalid, "4"},
    {"fused expanded", [](network& n) { ++fused(n, 5).expanded; }, kInvalid, "5.conv"},
    {"fused expanded negative", [](network& n) { fused(n, 5).expanded = -1; }, kInvalid, "5"},
    {"fused expanded alone", [](network& n) { ++fused(n, 4).expanded; }, kInvalid, "4"},
    {"fused kernel", [](network& n) { fused(n, 5).kernel = 2; }, kUnsupported, "2"},
    {"fused stride", [](network& n) { fused(n, 5).stride = 3; }, kUnsupported, "3"},
    {"conv weights", [](network& n) { fused(n, 4).conv_weights = one_less(fused(n, 4).conv_weights); }, kInvalid, "4.conv"},
    {"conv bias", [](network& n) { fused(n, 5).conv_bias = {}; }, kInvalid, "5.conv"},
    {"fused project weights", [](network& n) { fused(n, 5).project_weights = {}; }, kInvalid, "5.project"},
    {"fused project bias", [](network& n) { fused(n, 5).project_bias = one_less(fused(n, 5).project_bias); }, kInvalid, "5.project"},
    {"fused residual", [](network& n) { fused(n, 5).residual = true; }, kInvalid, "residual"},
    {"head hidden", [](network& n) { n.head.hidden = -2; }, kInvalid, "hidden"},
    {"head hidden left out", [](network& n) { n.head.hidden = 0; }, kInvalid, "classifier"},
    {"head hidden weights", [](network& n) { n.head.hidden_weights = {}; }, kInvalid, "hidden"},
    {"head hidden bias", [](network& n) { n.head.hidden_bias = one_less(n.head.hidden_bias); }, kInvalid, "hidden"},
    {"head inputs", [](network& n) { ++n.head.in; }, kInvalid, "head"},
    {"head features", [](network& n) { n.head.features = 0; }, kInvalid, "head"},
    {"head classes", [](network& n) { n.head.classes = -1; }, kInvalid, "classifier"},
    {"head weights", [](network& n) { n.head.conv_weights = {}; }, kInvalid, "head"},
    {"head bias", [](network& n) { n.head.conv_bias = {}; }, kInvalid, "head"},
    {"classifier weights", [](network& n) { n.head.classifier_weights = one_less(n.head.classifier_weights); }, kInvalid, "classifier"},
    {"classifier bias", [](network& n) { n.head.classifier_bias = {}; }, kInvalid, "classifier"},
};
constexpr long long kBrokenCount = 54;

long long test_broken_networks(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  for (const broken& b : kBroken) {
    test_case c(t, b.name, {});
    network net = r->net;
    b.apply(net);
    std::shared_ptr<const model> m;
    expect_error(c, model::create(net, table, &m), b.code, {"Expected", b.word});
    c.check(m == nullptr, "a model came out of a refused network");
  }
  return kBrokenCount;
}

long long test_arguments(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  for (int threads : {0, -1, std::numeric_limits<int>::min(), 1 << 20}) {
    test_case c(t, "threads", {{"threads", threads}});
    session s;
    std::unique_ptr<executor> e;
    if (!c.ok(model::create(r->net, table, &s.m))) continue;
    expect_error(c, executor::create(s.m, threads, &e), kInvalid, {"Expected", std::to_string(threads).c_str()});
    c.check(e == nullptr, "an executor came out of a refused request");
  }
  for (int height : {0, -1, 1, 4097, std::numeric_limits<int>::max()})
    for (int width : {0, -5, 4097, std::numeric_limits<int>::min()}) {
      test_case c(t, "size", {{"height", height}, {"width", width}});
      session s;
      if (!s.make(c, r->net, table, 1)) continue;
      expect_error(c, s.e->prepare(height, width), kInvalid, {"Expected", "4096"});
      expect_error(c, s.image.resize(height, width), kInvalid, {"Expected", "4096"});
      s.fill(c, 8, 9, 3);
      c.ok(s.e->prepare(8, 9));
      expect_error(c, s.e->prepare(height, width), kInvalid, {"Expected", "4096"});
      c.ok(s.run());
    }
  {
    test_case c(t, "empty image", {});
    session s;
    if (s.make(c, r->net, table, 2)) expect_error(c, s.run(), kInvalid, {"Expected"});
    s.fill(c, 4, 4, 1);
    c.ok(s.run());
  }
  {
    test_case c(t, "outputs left out", {});
    session s, both;
    if (!s.make(c, r->net, table, 2) || !both.make(c, r->net, table, 2)) return 0;
    for (session* x : {&s, &both}) x->fill(c, 12, 10, 4);
    c.ok(both.run());
    c.ok(s.e->run(s.image, {nullptr, nullptr}, nullptr));
    c.ok(s.e->run(s.image, {s.logits.data(), nullptr}, nullptr));
    c.check(s.logits == both.logits, "logits alone differ");
    c.ok(s.e->run(s.image, {nullptr, s.embedding.data()}, nullptr));
    c.check(s.embedding == both.embedding, "embedding alone differs");
  }
  return 4 + 5 * 4 + 1 + 1;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("engine_errors_test");
  run_on_tables(t, 1, {{"broken networks", test_broken_networks}, {"arguments", test_arguments}});
  return t.finish();
}
