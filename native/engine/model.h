// SPDX-License-Identifier: Apache-2.0
// The engine's public face. A `model` is a network packed for one kernel table, immutable and
// shareable; an `executor` runs it with its own scratch memory and threads, one image at a time.
// Nothing here knows of Node.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/network.h"
#include "kernels/kernels.h"

namespace effnet {

class model {
 public:
  // Checks every size of `net`, packs the weights for `table` into one arena. `net` may be dropped
  // afterwards. Errors name the block and the tensor.
  static status create(const network& net, const kernel_table& table, std::shared_ptr<const model>* out);
  ~model();

  const kernel_table& table() const;
  int classes() const;
  int features() const;          // width of the pooled embedding
  size_t weight_bytes() const;   // size of the packed arena
  std::vector<std::string> kernels() const;  // names of the kernels this network uses, in order, once each

  struct impl;
  const impl& get() const { return *impl_; }

 private:
  explicit model(std::unique_ptr<impl> p);
  std::unique_ptr<impl> impl_;
};

// The image the stem reads: interleaved RGB float rows inside a zero border, the border wide enough
// for either padding. Allocate once per size, fill the inside, run any number of times.
class input_image {
 public:
  input_image();
  ~input_image();
  input_image(const input_image&) = delete;
  input_image& operator=(const input_image&) = delete;

  // Sets the size; memory is kept when it suffices, and the border is zeroed. Height and width in
  // 1..kMaxSide.
  status resize(int height, int width);
  int height() const { return height_; }
  int width() const { return width_; }
  // First float of row y's inside; 3 * width floats follow. Rows lie row_stride() floats apart.
  float* row(int y);
  const float* row(int y) const;
  ptrdiff_t row_stride() const { return row_stride_; }

  static constexpr int kMaxSide = 4096;
  static constexpr int kBorder = 2;  // pixels on every side

 private:
  int height_ = 0, width_ = 0;
  ptrdiff_t row_stride_ = 0;
  struct storage;
  std::unique_ptr<storage> storage_;
};

struct run_output {
  float* logits = nullptr;     // [classes] or null
  float* embedding = nullptr;  // [features] or null: the pooled head, before the classifier
};

// How long one step of a run took. Steps follow each other without gaps.
struct step_time {
  int block = -1;          // index in network::blocks; -1: `step` is the whole name
  const char* step = "";   // such as "stem", "expand" or "head.conv", of static storage
  double seconds = 0;
};
// The layers' names of lib/describe.ts: "stem", "blocks.3.depthwise", "head.classifier". The excite is
// one step, from the mean to the gated operand.
std::string step_name(const step_time& step);

class executor {
 public:
  // threads >= 1, the caller's included. Worker threads are started here and joined by the destructor.
  // `l2` is the bytes of second-level cache to plan for, 0: what this machine has; it changes how the
  // work is cut, and no result.
  static status create(std::shared_ptr<const model> m, int threads, std::unique_ptr<executor>* out, size_t l2 = 0);
  ~executor();

  // Plans for this size unless it is the size of the last call; afterwards run allocates nothing.
  status prepare(int height, int width);
  // Runs one image. Not to be called from two threads at once. `stop` is looked at between blocks;
  // when it becomes true the call returns status_code::cancelled and the executor stays usable.
  // `steps`, when not null, receives the time of every step in place of what it held.
  status run(const input_image& image, const run_output& out, const std::atomic<bool>* stop,
             std::vector<step_time>* steps = nullptr);

  int threads() const;
  size_t activation_bytes() const;  // of the current plan

 private:
  struct impl;
  explicit executor(std::unique_ptr<impl> p);
  std::unique_ptr<impl> impl_;
};

}  // namespace effnet
