// SPDX-License-Identifier: Apache-2.0
// What the engine promises besides numbers: stopping between blocks, times of its steps, no allocation after the first run of a size, inputs that are no numbers, models
// shared by several executors, and the bordered input image.
#include <chrono>
#include <limits>
#include <thread>

#include "allocations.h"
#include "engine_session.h"

namespace effnet {
namespace test {
namespace {

long long test_model_report(tester& t, const kernel_table& table) {
  test_case c(t, "report", {});
  const auto r = sample_network(table);
  session s;
  if (!s.make(c, r->net, table, 1)) return 1;
  c.check(&s.m->table() == &table, "the model names another table");
  c.check(s.m->classes() == 21 && s.m->features() == 40, "wrong sizes of the outputs");
  c.check(s.m->weight_bytes() >= (size_t(21) * 40 + 40 * 30) * sizeof(float), "weight_bytes is too small");
  bool depthwise = false, conv = false, gemm = false;
  for (const std::string& name : s.m->kernels()) {
    c.check(name.find(std::string("_") + table.isa) != std::string::npos, ("kernel of another table: " + name).c_str());
    depthwise = depthwise || name == table.depthwise_k5s2.name;
    conv = conv || name == table.conv_s2.name;
    gemm = gemm || name == table.gemm.name;
    c.check(name != table.depthwise_k3s1.name || std::get<mbconv_block>(r->net.blocks[0]).kernel == 3, "a kernel that is not used");
    long long times = 0;
    for (const std::string& other : s.m->kernels()) times += other == name;
    c.check(times == 1, "a kernel is named twice");
  }
  c.check(depthwise && conv && gemm, "a kernel in use is not named");
  return 1;
}

// Every layer once, in order; the times are those of the run, and asking for them changes no bit.
long long test_steps(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  for (int threads : {1, 2}) {
    test_case c(t, "steps", {{"threads", threads}});
    session s;
    if (!s.make(c, r->net, table, threads)) continue;
    s.fill(c, 40, 30, 2);
    c.ok(s.run());
    const std::vector<float> logits = s.logits;
    std::vector<step_time> steps(3);
    const auto before = std::chrono::steady_clock::now();
    c.ok(s.e->run(s.image, {s.logits.data(), s.embedding.data()}, nullptr, &steps));
    const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    c.check(s.logits == logits, "a timed run gave other bits");
    std::string names;
    double sum = 0;
    long long joined = 0;
    for (const step_time& step : steps) {
      // Expansion and depthwise may run as one step.
      std::string name = step_name(step);
      const size_t plus = name.find('+');
      if (plus != std::string::npos) {
        ++joined;
        name.replace(plus, 1, " " + name.substr(0, name.rfind('.') + 1));
      }
      names += name + " ";
      sum += step.seconds;
      c.check(step.seconds >= 0, "a step took negative time");
    }
    c.check(sum > 0 && sum <= whole, "the steps take longer than the run");
    const std::string expected =
        "stem blocks.0.depthwise blocks.0.excite blocks.0.project "
        "blocks.1.expand blocks.1.depthwise blocks.1.excite blocks.1.project "
        "blocks.2.expand blocks.2.depthwise blocks.2.project "
        "blocks.3.expand blocks.3.depthwise blocks.3.excite blocks.3.project "
        "blocks.4.conv blocks.5.conv blocks.5.project head.conv head.hidden head.classifier ";
    c.check(names == expected, ("wrong steps: " + names).c_str());
    c.check(threads > 1 || joined == 3, "one thread expands and filters panel by panel");
    c.ok(s.e->run(s.image, {nullptr, s.embedding.data()}, nullptr, &steps));
    c.check(!steps.empty() && step_name(steps.back()) == "head.hidden", "a step that was not asked for was timed");
  }
  return 2;
}

long long test_no_allocation(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  for (int threads = 1; threads <= 3; ++threads)
    for (int side : {9, 32}) {
      test_case c(t, "no allocation", {{"threads", threads}, {"side", side}});
      session s;
      if (!s.make(c, r->net, table, threads)) continue;
      s.fill(c, side, side + 3, 1);
      long long before = allocations();
      c.ok(s.run());
      c.check(allocations() > before, "the counter of allocations does not work");
      // A thread that the system starts late may still be in a sanitizer's own preparations, which
      // allocate: hence several rounds, of which one must be clean.
      long long least = 1;
      for (int round = 0; round < 8 && least > 0; ++round) {
        before = allocations();
        for (int i = 0; i < 20; ++i)
          if (!s.run().ok()) c.check(false, "a repeated run failed");
        least = allocations() - before;
      }
      c.check(least == 0, "a run allocated");
      const size_t bytes = s.e->activation_bytes();
      c.check(bytes > 0, "activation_bytes is 0");
      // Preparing beforehand leaves nothing to the first run; two sizes take turns, so that every
      // round is one.
      least = 1;
      for (int round = 0; round < 8 && least > 0; ++round) {
        const int height = side + 5 + round % 2;
        c.ok(s.e->prepare(height, side));
        s.fill(c, height, side, 2);
        before = allocations();
        const status done = s.run();
        least = allocations() - before;
        c.ok(done);
      }
      c.check(least == 0, "the first run of a prepared size allocated");
    }
  return 3 * 2;
}

using clock_type = std::chrono::steady_clock;

// Runs while another thread raises the flag after `delay`.
status run_and_stop(session& s, clock_type::duration delay) {
  std::atomic<bool> stop{false}, begun{false};
  std::thread stopper([&] {
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(delay);
    stop = true;
  });
  begun = true;
  const status done = s.run(&stop);
  stopper.join();
  return done;
}

long long test_stop(tester& t, const kernel_table& table) {
  static random_source random(6);
  const random_network r(random, padding::symmetric, 16, std::vector<block_shape>(12, block_shape{48, 16, 3, 1, 4}), 32, 9);
  const int side = 160;  // a run of some milliseconds, so that a stop can fall into it
  for (int threads : {1, 3}) {
    test_case c(t, "stop", {{"threads", threads}});
    session s;
    if (!s.make(c, r.net, table, threads)) continue;
    s.fill(c, side, side, 6);
    std::atomic<bool> stop{false};
    c.ok(s.run(&stop));
    const std::vector<float> logits = s.logits, embedding = s.embedding;
    const auto same = [&] { return s.logits == logits && s.embedding == embedding; };
    const auto start = clock_type::now();
    c.ok(s.run(&stop));
    const auto whole = clock_type::now() - start;
    stop = true;
    c.check(s.run(&stop).code == status_code::cancelled, "a run that was stopped before it began went through");
    stop = false;
    c.ok(s.run(&stop));
    c.check(same(), "a stopped run changed the next one's bits");
    // Stopped in the middle. Whether a stop falls into the run is the scheduler's choice, so some
    // attempts are made; every one must either finish with the same bits or be cancelled.
    int cancelled = 0;
    for (int i = 0; i < 200 && cancelled == 0; ++i) {
      const status done = run_and_stop(s, whole / 16 * (1 + i % 8));
      c.check(done.ok() ? same() : done.code == status_code::cancelled, "a stopped run failed otherwise");
      cancelled += !done.ok();
    }
    c.check(cancelled > 0, "no run was stopped in the middle");
    c.ok(s.run(nullptr));
    c.check(same(), "the last run gave other bits");
  }
  return 2;
}

// Scratch of a much larger image is given back, and that changes no bit.
long long test_scratch(tester& t, const kernel_table& table) {
  static random_source random(8);
  const random_network r(random, padding::same, 8, {block_shape{16, 8, 3, 1, 4}}, 16, 5);
  test_case c(t, "scratch", {});
  session s;
  if (!s.make(c, r.net, table, 1)) return 1;
  s.fill(c, 32, 32, 3);
  c.ok(s.run());
  const std::vector<float> logits = s.logits;
  const size_t small = s.e->activation_bytes();
  c.ok(s.e->prepare(512, 512));
  const size_t large = s.e->activation_bytes();
  c.check(large > 16 * small, "the sizes are too close to show anything");
  c.ok(s.run());
  c.check(s.e->activation_bytes() == small, "the larger image's scratch was kept");
  c.check(s.logits == logits, "other scratch gave other bits");
  return 1;
}

long long test_strange_numbers(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  const float strange[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max(),
                           std::numeric_limits<float>::denorm_min()};
  for (int which = 0; which < 5; ++which)
    for (bool everywhere : {false, true}) {
      test_case c(t, "strange numbers", {{"which", which}, {"everywhere", everywhere}});
      session s;
      if (!s.make(c, r->net, table, 2)) continue;
      s.fill(c, 21, 17, 8);
      c.ok(s.run());
      const std::vector<float> logits = s.logits, embedding = s.embedding;
      for (int y = 0; y < 21; ++y)
        for (int x = 0; x < 3 * 17; ++x)
          if (everywhere || (y == 10 && x == 20)) s.image.row(y)[x] = strange[which];
      c.ok(s.run());
      if (which == 0) c.check(std::isnan(s.embedding[0]), "not-a-number in the image vanished from the embedding");
      s.fill(c, 21, 17, 8);
      c.ok(s.run());
      c.check(s.logits == logits && s.embedding == embedding, "strange numbers outlived their run");
    }
  return 5 * 2;
}

long long test_shared_model(tester& t, const kernel_table& table) {
  test_case c(t, "shared model", {});
  session first;
  {
    const auto r = sample_network(table);
    if (!first.make(c, r->net, table, 1)) return 1;
  }
  // The network and its weights are gone by now: they are packed, not referenced.
  first.fill(c, 24, 20, 9);
  c.ok(first.run());
  constexpr int kThreads = 3;
  std::vector<std::vector<float>> logits(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      std::unique_ptr<executor> e;
      logits[i].assign(first.logits.size(), 0);
      if (!executor::create(first.m, 1 + i, &e).ok()) return;
      for (int run = 0; run < 10; ++run)
        if (!e->run(first.image, {logits[i].data(), nullptr}, nullptr).ok()) logits[i].clear();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& l : logits) c.check(l == first.logits, "executors of one model disagree");
  return 1;
}

long long test_input_image(tester& t) {
  const int sizes[][2] = {{5, 9}, {3, 4}, {9, 5}, {1, 1}, {64, 3}, {5, 9}};
  for (const auto& size : sizes) {
    test_case c(t, "input image", {{"height", size[0]}, {"width", size[1]}});
    static input_image image;  // one image through all sizes: the border must be cleared each time
    if (!c.ok(image.resize(size[0], size[1]))) continue;
    c.check(image.height() == size[0] && image.width() == size[1], "wrong size");
    c.check(image.row_stride() >= 3 * (size[1] + 2 * input_image::kBorder), "rows overlap");
    const int border = input_image::kBorder;
    for (int y = -border; y < size[0] + border; ++y)
      for (int x = -3 * border; x < 3 * (size[1] + border); ++x) {
        const bool inside = y >= 0 && y < size[0] && x >= 0 && x < 3 * size[1];
        float& at = image.row(0)[y * image.row_stride() + x];
        if (!inside) c.check(at == 0, "the border is not zero");
        if (inside) at = 1;
      }
    c.check(image.row(size[0] - 1) == image.row(0) + (size[0] - 1) * image.row_stride(), "rows are not row_stride apart");
  }
  return 6;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("engine_behaviour_test");
  run_on_tables(t, 1, {{"report", test_model_report}, {"steps", test_steps}, {"no allocation", test_no_allocation},
                       {"scratch", test_scratch}, {"stop", test_stop}, {"strange numbers", test_strange_numbers},
                       {"shared model", test_shared_model}});
  t.expect_count("input image", test_input_image(t));
  return t.finish();
}
