// SPDX-License-Identifier: Apache-2.0
// What a session does with the engine, on whichever thread: open it, run a batch of tensors, prepare
// and run an image, run the images of several calls side by side. Plain values in and out; nothing of
// JavaScript is here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
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

// What a caller wants of each image: one vector, or the maps of executor's run_output::features.
enum class wanted : uint8_t { logits, embedding, features };

struct timings {
  double prepare_ms = 0, infer_ms = 0;
};

// One image of a call: what it is made from, and where what is wanted of it goes, size_of floats.
struct tensor_image {
  tensor_batch batch;
  int index = 0;
};
struct photo {
  pixels image;
  recipe how;
};
struct image_task {
  std::variant<tensor_image, photo> from;
  wanted what = wanted::logits;
  float* dst = nullptr;
  timings* times = nullptr;  // may be null
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

  // Writes size_of floats for each image to dst. A NaN or an infinity in the input is an error
  // that names its place. Waits while another thread uses the runner. `steps`, unless null, receives
  // how long each step of the last image took.
  status run(const tensor_batch& batch, wanted what, float* dst, caller who, const std::atomic<bool>* stop,
             std::vector<step_time>* steps = nullptr);
  // Fills the stem's input from one image, and runs it on all threads.
  status run(const image_task& task, caller who, const std::atomic<bool>* stop);

  // A thread with all that it needs to run images by itself.
  class desk {
   public:
    status run(const image_task& task, const std::atomic<bool>* stop);

   private:
    friend class runner;
    desk(runner* r, executor::lane* l) : runner_(r), lane_(l) {}
    runner* runner_;
    executor::lane* lane_;
  };
  // Hands out the images of queued jobs.
  class counter {
   public:
    // On any of the runner's threads: takes one image and runs it at the desk. False when there is none.
    virtual bool serve_one(desk& at) = 0;

   protected:
    ~counter() = default;
  };
  // Every thread takes images from `images` until one of them finds none, or a synchronous call waits: what
  // comes later is for all threads again, not for those alone that happen to be still at work.
  void serve(counter& images);
  // Whether so many images run faster side by side than one after the other on all threads.
  bool worth_lanes(int images) const { return info_.threads > 1 && images > 1 && 4 * images >= 3 * info_.threads; }

  const runner_info& info() const { return info_; }
  // Floats that an image of this size, as the network sees it, gives.
  size_t size_of(wanted what, int height, int width) const;
  std::vector<feature_map> feature_maps(int height, int width) const;
  // Scratch memory of the plan last used; may be read at any time.
  size_t activation_bytes() const { return activation_bytes_.load(std::memory_order_relaxed); }

 private:
  class turn;  // exclusive use of what follows `mutex_`
  // What a thread fills an image with, and the image.
  struct place {
    explicit place(const kernel_table& table) : preparer(table) {}
    input_image image;
    image_preparer preparer;
  };
  status run_on_all(const image_task& task, const std::atomic<bool>* stop, std::vector<step_time>* steps);
  status run_in_lanes(const tensor_batch& batch, wanted what, float* dst, int images, const std::atomic<bool>* stop);

  runner_info info_;
  std::atomic<size_t> activation_bytes_{0};

  std::mutex mutex_;
  std::condition_variable freed_;
  bool in_use_ = false;
  std::atomic<bool> sync_waiting_{false};  // written under the mutex

  std::shared_ptr<const model> model_;
  std::unique_ptr<executor> executor_;
  std::vector<std::unique_ptr<place>> places_;  // of each thread
};

}  // namespace effnet::node
