// SPDX-License-Identifier: Apache-2.0
// Filling the stem's input from tensors or pixels, and running the engine on it, one caller at a time.
#include "node/runner.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

namespace effnet::node {

namespace {

double now_ms() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double, std::milli>(clock::now().time_since_epoch()).count();
}

bool stopped(const std::atomic<bool>* stop) { return stop != nullptr && stop->load(std::memory_order_relaxed); }

// Not zero for NaN and infinity: all exponent bits set. Written on integers so that compilers turn a
// loop of it into vector code without leave to reorder float arithmetic.
uint32_t not_finite(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
}

uint32_t fill_nhwc(const float* src, input_image* image) {
  const size_t n = static_cast<size_t>(image->width()) * 3;
  uint32_t bad = 0;
  for (int y = 0; y < image->height(); ++y) {
    float* row = image->row(y);
    for (size_t i = 0; i < n; ++i) {
      const float value = src[y * n + i];
      row[i] = value;
      bad |= not_finite(value);
    }
  }
  return bad;
}

uint32_t fill_nchw(const float* src, input_image* image) {
  const size_t w = static_cast<size_t>(image->width());
  const size_t plane = w * static_cast<size_t>(image->height());
  uint32_t bad = 0;
  for (int y = 0; y < image->height(); ++y) {
    float* row = image->row(y);
    const float* r = src + y * w;
    for (size_t x = 0; x < w; ++x) {
      const float red = r[x], green = r[plane + x], blue = r[2 * plane + x];
      row[3 * x] = red;
      row[3 * x + 1] = green;
      row[3 * x + 2] = blue;
      bad |= not_finite(red) | not_finite(green) | not_finite(blue);
    }
  }
  return bad;
}

status not_open() {
  return status::error(status_code::invalid_argument, "The session holds no network: create one with createSession");
}

status describe_not_finite(const input_image& image, int index) {
  for (int y = 0; y < image.height(); ++y) {
    for (int i = 0; i < image.width() * 3; ++i) {
      const float value = image.row(y)[i];
      if (!not_finite(value)) continue;
      return status::error(
          status_code::invalid_argument,
          std::string("input must hold finite numbers, found ") + (std::isnan(value) ? "NaN" : "an infinity") +
              " in image " + std::to_string(index) + " at row " + std::to_string(y) + ", column " +
              std::to_string(i / 3) + ", channel " + std::to_string(i % 3) +
              ": check the normalisation (a division by a zero deviation gives this)");
    }
  }
  return status::error(status_code::invalid_argument, "input must hold finite numbers");
}

}  // namespace

class runner::turn {
 public:
  turn(runner* r, caller who) : runner_(r) {
    std::unique_lock<std::mutex> lock(r->mutex_);
    if (who == caller::sync) {
      r->sync_waiting_ = true;
      r->freed_.wait(lock, [r] { return !r->in_use_; });
      r->sync_waiting_ = false;
    } else {
      r->freed_.wait(lock, [r] { return !r->in_use_ && !r->sync_waiting_; });
    }
    r->in_use_ = true;
  }
  ~turn() {
    {
      std::lock_guard<std::mutex> lock(runner_->mutex_);
      runner_->in_use_ = false;
    }
    runner_->freed_.notify_all();
  }
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;

 private:
  runner* runner_;
};

status runner::open(std::shared_ptr<const model> m, int threads, int height, int width) {
  const turn mine(this, caller::job);
  model_ = std::move(m);
  const kernel_table& table = model_->table();
  status s = executor::create(model_, threads, &executor_);
  if (!s.ok()) return s;
  preparer_ = std::make_unique<image_preparer>(table);
  s = image_.resize(height, width);
  if (!s.ok()) return s;
  s = executor_->prepare(height, width);
  if (!s.ok()) return s;
  info_.isa = table.isa;
  info_.kernels = model_->kernels();
  info_.threads = executor_->threads();
  info_.classes = model_->classes();
  info_.features = model_->features();
  info_.weight_bytes = model_->weight_bytes();
  activation_bytes_.store(executor_->activation_bytes(), std::memory_order_relaxed);
  return status::success();
}

size_t runner::width_of(wanted what) const {
  return static_cast<size_t>(what == wanted::logits ? info_.classes : info_.features);
}

status runner::run_image(wanted what, float* dst, const std::atomic<bool>* stop, std::vector<step_time>* steps) {
  status s = executor_->prepare(image_.height(), image_.width());
  if (!s.ok()) return s;
  activation_bytes_.store(executor_->activation_bytes(), std::memory_order_relaxed);
  run_output out;
  (what == wanted::logits ? out.logits : out.embedding) = dst;
  return executor_->run(image_, out, stop, steps);
}

status runner::run(const tensor_batch& batch, wanted what, float* dst, caller who, const std::atomic<bool>* stop,
                   std::vector<step_time>* steps) {
  const turn mine(this, who);
  if (!executor_) return not_open();
  status s = image_.resize(batch.height, batch.width);
  if (!s.ok()) return s;
  const size_t step = static_cast<size_t>(batch.height) * static_cast<size_t>(batch.width) * 3;
  for (int i = 0; i < batch.images; ++i) {
    if (stopped(stop)) return {status_code::cancelled, {}};
    const float* src = batch.data + i * step;
    const uint32_t bad = batch.order == layout::nhwc ? fill_nhwc(src, &image_) : fill_nchw(src, &image_);
    if (bad != 0) return describe_not_finite(image_, i);
    s = run_image(what, dst + i * width_of(what), stop, steps);
    if (!s.ok()) return s;
  }
  return status::success();
}

status runner::run(const pixels& image, const recipe& how, wanted what, float* dst, timings* times, caller who,
                   const std::atomic<bool>* stop) {
  const turn mine(this, who);
  if (!executor_) return not_open();
  if (stopped(stop)) return {status_code::cancelled, {}};
  const double start = now_ms();
  status s = preparer_->prepare(image, how, &image_);
  if (!s.ok()) return s;
  const double prepared = now_ms();
  s = run_image(what, dst, stop, nullptr);
  if (times != nullptr) {
    times->prepare_ms = prepared - start;
    times->infer_ms = now_ms() - prepared;
  }
  return s;
}

}  // namespace effnet::node
