// SPDX-License-Identifier: Apache-2.0
// What a session does with the engine, on whichever thread: open it, run a batch of tensors, prepare
// and run an image. Plain values in and out; nothing of JavaScript is here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/model.h"
#include "engine/network.h"
#include "image/prepare.h"
#include "kernels/kernels.h"

namespace effnet::node {

enum class layout : uint8_t { nhwc, nchw };

// `images` normalised RGB images of height x width x 3 floats.
struct tensor_batch {
  const float* data = nullptr;
  int images = 0, height = 0, width = 0;
  layout order = layout::nhwc;
};

// Which vector a caller wants of each image.
enum class wanted : uint8_t { logits, embedding };

struct timings {
  double prepare_ms = 0, infer_ms = 0;
};

// The model's facts, fixed once it is open.
struct runner_info {
  const char* isa = "";
  std::vector<std::string> kernels;
  int threads = 0, classes = 0, features = 0;
  size_t weight_bytes = 0;
};

class runner {
 public:
  // Who is calling: a synchronous call, which has blocked its caller, goes before queued jobs.
  enum class caller { job, sync };

  // Plans for height x width, so that the first image of that size allocates nothing. `threads` >= 1,
  // the caller's included.
  status open(std::shared_ptr<const model> m, int threads, int height, int width);

  // Writes images * (classes | features) floats to dst. A NaN or an infinity in the input is an error
  // that names its place. Waits while another thread uses the runner. `steps`, unless null, receives
  // how long each step of the last image took.
  status run(const tensor_batch& batch, wanted what, float* dst, caller who, const std::atomic<bool>* stop,
             std::vector<step_time>* steps = nullptr);
  // Resizes, normalises and runs one image; writes classes | features floats to dst.
  status run(const pixels& image, const recipe& how, wanted what, float* dst, timings* times, caller who,
             const std::atomic<bool>* stop);

  const runner_info& info() const { return info_; }
  size_t width_of(wanted what) const;
  // Scratch memory of the plan last used; may be read at any time.
  size_t activation_bytes() const { return activation_bytes_.load(std::memory_order_relaxed); }

 private:
  class turn;  // exclusive use of what follows `mutex_`
  status run_image(wanted what, float* dst, const std::atomic<bool>* stop, std::vector<step_time>* steps);

  runner_info info_;
  std::atomic<size_t> activation_bytes_{0};

  std::mutex mutex_;
  std::condition_variable freed_;
  bool in_use_ = false, sync_waiting_ = false;

  std::shared_ptr<const model> model_;
  std::unique_ptr<executor> executor_;
  input_image image_;
  std::unique_ptr<image_preparer> preparer_;
};

}  // namespace effnet::node
