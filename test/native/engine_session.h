// SPDX-License-Identifier: Apache-2.0
// What the tests of the engine's behaviour share: a network with every kind of block, a model of it with
// an executor and an image, and what to expect of an error.
#pragma once

#include <initializer_list>
#include <memory>

#include "random_network.h"
#include "tester.h"

namespace effnet {
namespace test {

inline std::unique_ptr<random_network> sample_network(const kernel_table& table) {
  static random_source random(5);
  const std::vector<block_shape> blocks = {
      {0, 8, 3, 1, 4},          {24, 8, 5, 1, 3},           {25, 12, 3, 2, 0}, {table.lanes + 1, 12, 5, 2, 5},
      {0, 12, 3, 1, 0, true}, {table.lanes + 2, 14, 3, 2, 0, true}};
  return std::make_unique<random_network>(random, padding::same, 8, blocks, 30, 21, 40);
}

struct session {
  std::shared_ptr<const model> m;
  std::unique_ptr<executor> e;
  input_image image;
  std::vector<float> logits, embedding;

  // 0 where it could not be made; the case has failed then.
  bool make(test_case& c, const network& net, const kernel_table& table, int threads) {
    if (!c.ok(model::create(net, table, &m)) || !c.ok(executor::create(m, threads, &e))) return false;
    logits.assign(size_t(m->classes()), 0);
    embedding.assign(size_t(m->features()), 0);
    return true;
  }
  void fill(test_case& c, int height, int width, uint64_t seed) {
    random_source random(seed);
    c.ok(fill_image(image, random_pixels(random, height, width), height, width));
  }
  status run(const std::atomic<bool>* stop = nullptr) { return e->run(image, {logits.data(), embedding.data()}, stop); }
};

// The status must be an error of this code whose message holds all the given words.
inline void expect_error(test_case& c, const status& s, status_code code, std::initializer_list<const char*> words) {
  if (!c.check(!s.ok(), "expected an error, found success")) return;
  c.check(s.code == code, ("wrong code with message: " + s.message).c_str());
  for (const char* word : words)
    c.check(s.message.find(word) != std::string::npos, ("expected '" + std::string(word) + "' in: " + s.message).c_str());
}

}  // namespace test
}  // namespace effnet
