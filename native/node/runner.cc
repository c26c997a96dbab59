// SPDX-License-Identifier: Apache-2.0
// Filling the stem's input from tensors or pixels, and running the engine on it: one caller at a time, an
// image on all threads or one on each.
#include "node/runner.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <new>
#include <utility>

#include "base/finite.h"

namespace effnet::node {

namespace {

double now_ms() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double, std::milli>(clock::now().time_since_epoch()).count();
}

constexpr auto kRelaxed = std::memory_order_relaxed;

bool stopped(const std::atomic<bool>* stop) { return stop != nullptr && stop->load(kRelaxed); }

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

status fill(const tensor_image& from, input_image* image, image_preparer*) {
  const tensor_batch& batch = from.batch;
  if (status s = image->resize(batch.height, batch.width); !s.ok()) return s;
  const float* src = batch.data + static_cast<size_t>(from.index) * batch.height * batch.width * 3;
  const uint32_t bad = batch.order == layout::nhwc ? fill_nhwc(src, image) : fill_nchw(src, image);
  return bad == 0 ? status::success() : describe_not_finite(*image, from.index);
}

status fill(const photo& from, input_image* image, image_preparer* preparer) {
  return preparer->prepare(from.image, from.how, image);
}

// Fills `image`, runs it with `run(image, out)` and takes the times of both.
template <class Run>
status run_task(const image_task& task, input_image* image, image_preparer* preparer, Run run) {
  const double start = now_ms();
  status s = std::visit([&](const auto& from) { return fill(from, image, preparer); }, task.from);
  if (!s.ok()) return s;
  const double prepared = now_ms();
  run_output out;
  float*& to = task.what == wanted::logits ? out.logits : task.what == wanted::embedding ? out.embedding : out.features;
  to = task.dst;
  s = run(*image, out);
  if (task.times != nullptr) {
    task.times->prepare_ms = prepared - start;
    task.times->infer_ms = now_ms() - prepared;
  }
  return s;
}

}  // namespace

class runner::turn {
 public:
  turn(runner* r, caller who) : runner_(r) {
    std::unique_lock<std::mutex> lock(r->mutex_);
    if (who == caller::sync) {
      r->sync_waiting_.store(true, kRelaxed);
      r->freed_.wait(lock, [r] { return !r->in_use_; });
      r->sync_waiting_.store(false, kRelaxed);
    } else {
      r->freed_.wait(lock, [r] { return !r->in_use_ && !r->sync_waiting_.load(kRelaxed); });
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
  for (int i = 0; i < threads; ++i) places_.push_back(std::make_unique<place>(table));
  s = places_[0]->image.resize(height, width);
  if (!s.ok()) return s;
  s = executor_->prepare(height, width);
  if (!s.ok()) return s;
  info_.isa = table.isa;
  info_.kernels = model_->kernels();
  info_.threads = executor_->threads();
  info_.classes = model_->classes();
  info_.features = model_->features();
  info_.weight_bytes = model_->weight_bytes();
  activation_bytes_.store(executor_->activation_bytes(), kRelaxed);
  return status::success();
}

std::vector<feature_map> runner::feature_maps(int height, int width) const {
  return model_ ? model_->feature_maps(height, width) : std::vector<feature_map>();
}

size_t runner::size_of(wanted what, int height, int width) const {
  if (what != wanted::features) return static_cast<size_t>(what == wanted::logits ? info_.classes : info_.features);
  size_t floats = 0;
  for (const feature_map& m : feature_maps(height, width)) floats += m.floats();
  return floats;
}

status runner::run_on_all(const image_task& task, const std::atomic<bool>* stop, std::vector<step_time>* steps) {
  if (stopped(stop)) return {status_code::cancelled, {}};
  const status s = run_task(task, &places_[0]->image, &places_[0]->preparer, [&](const input_image& image, const run_output& out) {
    return executor_->run(image, out, stop, steps);
  });
  activation_bytes_.store(executor_->activation_bytes(), kRelaxed);
  return s;
}

status runner::desk::run(const image_task& task, const std::atomic<bool>* stop) {
  if (stopped(stop)) return {status_code::cancelled, {}};
  place& mine = *runner_->places_[static_cast<size_t>(lane_->index())];
  try {
    return run_task(task, &mine.image, &mine.preparer, [&](const input_image& image, const run_output& out) {
      return lane_->run(image, out, stop);
    });
  } catch (const std::bad_alloc&) {  // of a message: nothing may leave a thread of the pool
    return {status_code::out_of_memory, {}};
  }
}

void runner::serve(counter& images) {
  const turn mine(this, caller::job);
  std::atomic<bool> none_left{false};
  executor_->run_lanes([&](executor::lane& l) {
    desk at(this, &l);
    while (!none_left.load(kRelaxed) && !sync_waiting_.load(kRelaxed))
      if (!images.serve_one(at)) none_left.store(true, kRelaxed);
  });
  activation_bytes_.store(executor_->activation_bytes(), kRelaxed);
}

// Images are begun in their order, and what was begun is finished: so where several fail, the first of
// them is the one that tells.
status runner::run_in_lanes(const tensor_batch& batch, wanted what, float* dst, int images, const std::atomic<bool>* stop) {
  const size_t one = size_of(what, batch.height, batch.width);
  std::atomic<int> next{0};
  std::mutex failing;
  int failed = images;
  status why = status::success();
  executor_->run_lanes([&](executor::lane& l) {
    // Without memory for one more image at a time, those that run already take its share.
    if (l.index() != 0 && !l.prepare(batch.height, batch.width).ok()) return;
    desk at(this, &l);
    for (int i = next++; i < images; i = next++) {
      const status s = at.run({tensor_image{batch, i}, what, dst + static_cast<size_t>(i) * one}, stop);
      if (s.ok()) continue;
      next = images;
      const std::lock_guard<std::mutex> lock(failing);
      if (i < failed) {
        failed = i;
        why = s;
      }
    }
  });
  activation_bytes_.store(executor_->activation_bytes(), kRelaxed);
  return why;
}

status runner::run(const tensor_batch& batch, wanted what, float* dst, caller who, const std::atomic<bool>* stop,
                   std::vector<step_time>* steps) {
  const turn mine(this, who);
  if (!executor_) return not_open();
  const size_t one = size_of(what, batch.height, batch.width);
  const int rest = batch.images % info_.threads;
  int laned = steps != nullptr ? 0 : worth_lanes(rest) ? batch.images : batch.images - rest;
  if (!worth_lanes(laned)) laned = 0;
  if (laned > 0) {
    if (status s = run_in_lanes(batch, what, dst, laned, stop); !s.ok()) return s;
  }
  for (int i = laned; i < batch.images; ++i) {
    const status s = run_on_all({tensor_image{batch, i}, what, dst + static_cast<size_t>(i) * one}, stop, steps);
    if (!s.ok()) return s;
  }
  return status::success();
}

status runner::run(const image_task& task, caller who, const std::atomic<bool>* stop) {
  const turn mine(this, who);
  if (!executor_) return not_open();
  return run_on_all(task, stop, nullptr);
}

}  // namespace effnet::node
