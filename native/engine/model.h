// SPDX-License-Identifier: Apache-2.0
// The engine's public face. A `model` is a network packed for one kernel table, immutable and
// shareable; an `executor` runs it with its own scratch memory and threads: one image at a time on all of
// them, or one on each. Nothing here knows of Node.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "base/status.h"
#include "engine/network.h"
#include "kernels/kernels.h"

namespace effnet {

// What the last layer of each stride puts out, from the stem on: for most networks strides 2 to 32.
struct feature_map {
  int block = -1;  // index in network::blocks; -1: the stem
  int stride = 2;  // pixels of the image to one of the map, in each direction
  int channels = 0, height = 0, width = 0;

  size_t floats() const { return size_t(channels) * size_t(height) * size_t(width); }
};

class model {
 public:
  // Checks every size of `net`, packs the weights for `table` into one arena. `net` may be dropped
  // afterwards, and with it what its stored weights point to. Errors name the block and the tensor. When
  // `stop` becomes true the call returns status_code::cancelled within a panel of weights.
  static status create(const network& net, const kernel_table& table, std::shared_ptr<const model>* out,
                       const std::atomic<bool>* stop = nullptr);
  ~model();

  const kernel_table& table() const;
  int classes() const;
  int features() const;          // width of the pooled embedding
  // Of an image of that size, height and width from 1 to input_image::kMaxSide; by increasing stride.
  std::vector<feature_map> feature_maps(int height, int width) const;
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
  float* features = nullptr;   // null, or every feature_map, [height][width][channels], one after the other
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

  // One thread of the executor, running whole images by itself.
  class lane {
   public:
    int index() const { return index_; }  // 0 to threads() - 1; no two calls of `work` with the same one overlap
    // As the executor's own; scratch of the lane's own is made when it is first needed.
    status prepare(int height, int width);
    status run(const input_image& image, const run_output& out, const std::atomic<bool>* stop);

   private:
    friend class executor;
    lane(executor* owner, int index) : owner_(owner), index_(index) {}
    executor* owner_;
    int index_;
  };
  // Throughput: calls work(lane) on every thread, where it runs images until it finds no more, and returns
  // when all have. Threads then wait for each other once, not after each layer: two ran B0 1.87 times as
  // fast as one, against 1.65 when they shared each image (bench/results/zen4.md). The bits are the same.
  // May be called a second time for a lane whose work has ended. Must not throw.
  template <class Work>
  void run_lanes(Work&& work) {
    using function = std::remove_reference_t<Work>;
    run_lanes([](void* context, lane& l) { (*static_cast<function*>(context))(l); }, &work);
  }

  int threads() const;
  size_t activation_bytes() const;  // of scratch, all lanes together

 private:
  struct impl;
  struct team;
  executor(std::unique_ptr<impl> p, std::unique_ptr<team> t);
  void run_lanes(void (*work)(void* context, lane& l), void* context);
  impl& lane_impl(int index);
  std::unique_ptr<impl> impl_;
  std::unique_ptr<team> team_;
};

}  // namespace effnet
