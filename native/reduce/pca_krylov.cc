#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "core/error.h"
#include "linear/device.h"
#include "linear/eigen.h"
#include "linear/products.h"
#include "objectives/random.h"
#include "reduce/moments.h"
#include "reduce/pca_methods.h"

namespace coregain::reduce {
namespace {

constexpr size_t kRows = 8 * GemmKernel::kDepth;  // rows between two products with them: they should stay in a cache
constexpr double kTolerance = 1e-3;               // of the captured variance that one more pass would add
constexpr size_t kMostFactor = 4;                 // dimensions of the space, in units of the wanted ones
constexpr size_t kLeastSpace = 384;               // and where few are wanted: a few blocks see only steep spectra
constexpr double kElsewhere = 0.1;                // length of random signs in a first vector, beside 1 of rows
constexpr double kNothing = 1e-5;                 // of a direction, after the others were taken out: rounding
constexpr int kRounds = 4;                        // of orthonormalisation, at most
constexpr double kOrthonormal = 1e-6;
constexpr size_t kSpare = size_t{1} << 29;  // bytes of a device that rows which stay there leave to the rest

Matrix rows_of(const Matrix& x, size_t from, size_t count) {
  return {x.is_double ? static_cast<const void*>(x.f64(from)) : x.f32(from), x.is_double, count, x.cols};
}

// With C = Xc^T Xc and orthonormal V = [V_1 .. V_s], V_1 random sums of rows and V_{l + 1} what C V_l has outside V_1
// .. V_l, the leading eigenvectors of V^T C V give the leading components (Rayleigh and Ritz). A pass multiplies a
// block V_l by C while rows go by: Y = X V_l, W = W + X^T Y. The last one needs no W. Vectors are rows here.
class KrylovFit : public PcaFit {
 public:
  explicit KrylovFit(const PcaTask& t)
      : PcaFit(t),
        moments_(t.cols, t.about_zero),
        most_(std::min({t.rows - 1, t.cols, std::max({kMostFactor * t.dims, kLeastSpace, t.block_columns})})) {
    v_ = Buffer<float>(most_ * t.cols);
    t_ = Buffer<double>(most_ * most_);
    std::fill_n(t_.data(), t_.size(), 0.0);
    w_ = Buffer<double>(width(0) * t.cols);
    if (device_ == nullptr) return;
    using linear::DeviceMatrix;
    v_on_device_ = std::make_unique<DeviceMatrix>(*device_, most_, t.cols, DeviceMatrix::Type::kFloat);
    w_on_device_ = std::make_unique<DeviceMatrix>(*device_, width(0), t.cols, DeviceMatrix::Type::kDouble);
  }

  size_t first_row() const override { return done_ ? task.rows : 0; }

  void feed(const Matrix& block, size_t first, const Control& control,
            const std::function<void(size_t)>& done) override {
    const linear::Workers workers = workers_of(control);
    if (found_.passes == 0) moments_.add(block, task.overwrite, pool_, control, doubles_kernel(task.simd));
    const double* const shift = task.overwrite ? nullptr : moments_.shift().data();
    if (first == 0) begin_pass(block, shift, workers);
    // a device has no cache that they should stay in
    const size_t together = device_ == nullptr ? kRows : block.rows;
    for (size_t from = 0; from < block.rows; from += together) {
      const size_t count = std::min(together, block.rows - from);
      linear::Part part(rows_of(block, from, count), shift);
      const std::shared_ptr<const linear::DeviceMatrix> there = rows_on_device(part, first + from, workers);
      part.held = there.get();
      linear::Coefficients left(block_, count);
      float* const y = y_.back().data() + (first + from) * block_;
      linear::project(part, *vectors_, linear::kAll, workers,
                      [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                        for (size_t i = 0; i < rows; ++i)
                          for (size_t c = 0; c < cols; ++c)
                            left.row(col + c)[row + i] = y[(row + i) * block_ + col + c] =
                                static_cast<float>(sums[i * stride + c]);
                      });
      if (last_) {
        // (X V_i) . (X V_j) is what V_i C V_j is, without W
        const Y& before = y_[y_.size() - 2];
        couple(left, {y, false, count, block_}, used_, workers);
        done(from + count);
        couple(left, {before.data() + (first + from) * before.cols, false, count, before.cols}, used_ - before.cols,
               workers);
        continue;
      }
      if (device_ != nullptr)
        linear::add_combined(left, part, workers, *w_on_device_);
      else
        linear::combine(left, part, false, workers,
                        [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                          for (size_t c = 0; c < rows; ++c)
                            for (size_t j = 0; j < cols; ++j)
                              w_[(row + c) * task.cols + col + j] += sums[c * stride + j];
                        });
      done(from + count);
    }
  }

  void end_pass(const Control& control) override {
    const linear::Workers workers = workers_of(control);
    vectors_.reset();
    if (device_ != nullptr && !last_)
      w_on_device_->read(0, block_, workers, [&](size_t c, const double* sums) {
        std::copy_n(sums, task.cols, w_.data() + c * task.cols);
      });
    if (found_.passes++ == 0) settle();
    centre();
    if (last_) {
      used_ += block_;
      finish(workers);
      return;
    }
    // T of the new block with itself and all before.
    const size_t old = used_;
    used_ += block_;
    along_ = products(block_, workers);
    for (size_t c = 0; c < block_; ++c)
      for (size_t q = 0; q < used_; ++q) at(std::max(q, old + c), std::min(q, old + c)) = along_[c * used_ + q];
    const Rest needed = rest(control);
    last_ = needed.last;
    next_ = used_ == most_ || needed.vectors == 0 ? 0 : orthonormal(workers);
    // the first of them have most of what the space lacks
    if (last_) next_ = std::min(next_, needed.vectors);
    if (next_ == 0) finish(workers);
  }

  bool has_scores() const override { return task.scores; }

  void scores(void* out, bool is_double, bool whiten, const Control& control) override {
    const linear::Workers workers = workers_of(control);
    const size_t n = task.rows, k = found_.variance.size();
    const linear::Panels panels(linear::Part({ritz_.data(), false, k, used_}), workers);
    for (size_t from = 0; from < n; from += kRows) {
      const size_t count = std::min(kRows, n - from);
      Buffer<float> y(count * used_);
      size_t col = 0;
      for (const Y& block : y_) {
        for (size_t i = 0; i < count; ++i)
          std::copy_n(block.data() + (from + i) * block.cols, block.cols, &y[i * used_ + col]);
        col += block.cols;
      }
      linear::project(linear::Part({y.data(), false, count, used_}), panels, linear::kAll, workers,
                      [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                        for (size_t i = 0; i < rows; ++i) {
                          for (size_t q = 0; q < cols; ++q) {
                            const double scale = whiten ? 1 / std::sqrt(found_.variance[col + q]) : 1;
                            put(out, is_double, (from + row + i) * k + col + q, sums[i * stride + q] * scale);
                          }
                        }
                      });
    }
  }

 private:
  // X V_l of all rows, [N, cols].
  struct Y {
    Buffer<float> values;
    size_t cols;
    float* data() { return values.data(); }
    const float* data() const { return values.data(); }
  };

  double& at(size_t i, size_t j) { return t_[i * most_ + j]; }
  // Of the block that starts at `used`.
  size_t width(size_t used) const { return std::min(std::max<size_t>(task.block_columns, 1), most_ - used); }

  void begin_pass(const Matrix& rows, const double* shift, const linear::Workers& workers) {
    if (found_.passes == 0) {
      sum_rows(linear::Part(rows, shift), workers);
      next_ = orthonormal(workers);
    }
    block_ = next_;
    if (!task.scores && y_.size() == 2) y_.erase(y_.begin());
    y_.push_back({Buffer<float>(task.rows * block_), block_});
    if (device_ != nullptr) {
      v_on_device_->put(used_, linear::Part({v_.data() + used_ * task.cols, false, block_, task.cols}), workers);
      w_on_device_->clear();
    }
    vectors_ = std::make_unique<linear::Panels>(vectors_from(used_, block_), workers);
    if (last_)
      w_ = {};
    else
      std::fill_n(w_.data(), block_ * task.cols, 0.0);
  }

  // What V_1 is made of: the first rows, each in one of the sums, drawn at random. They lean towards the leading
  // components as half a product with C would. Directions that these rows lack come in by random signs.
  // Rows are rounded as products round them, so that it makes no difference whether they lost their mean already.
  void sum_rows(const linear::Part& rows, const linear::Workers& workers) {
    constexpr size_t kColumns = 128;  // all sums of so many stay in a cache
    const size_t d = task.cols, count = width(0);
    const DoublesKernel& kernel = doubles_kernel(task.simd);
    std::vector<size_t> sum_of(rows.x.rows);
    objectives::Words words(task.seed, 0);
    for (size_t& sum : sum_of) sum = words.below(count);
    std::fill_n(w_.data(), count * d, 0.0);
    pool_.for_blocks(d, kColumns, [&](unsigned, size_t begin, size_t end) {
      float x[kColumns];
      for (size_t i = 0; i < rows.x.rows; ++i) {
        rows.read(workers.kernel, i, begin, end - begin, x);
        kernel.add_floats(x, nullptr, end - begin, &w_[sum_of[i] * d + begin], nullptr, nullptr);
      }
    });
    const std::vector<double> lengths = lengths_of(count);
    const double size = kElsewhere / std::sqrt(static_cast<double>(d));
    pool_.for_blocks(count, 1, [&](unsigned, size_t c, size_t) {
      objectives::Words signs(task.seed, c + 1);
      double* const w = &w_[c * d];
      for (size_t j = 0; j < d; ++j)
        w[j] = (lengths[c] > 0 ? w[j] / lengths[c] : 0) + ((signs.next() & 1) != 0 ? size : -size);
    });
  }

  // Vectors [first, first + count), those of this pass and before.
  linear::Part vectors_from(size_t first, size_t count) const {
    linear::Part part({v_.data() + first * task.cols, false, count, task.cols});
    part.held = v_on_device_.get();
    part.held_first = first;
    return part;
  }

  // Rows on the device, or null. They stay there for all passes, as long as there is room.
  std::shared_ptr<const linear::DeviceMatrix> rows_on_device(const linear::Part& part, size_t first,
                                                             const linear::Workers& workers) {
    if (device_ == nullptr) return nullptr;
    const auto at = stay_.find(first);
    if (at != stay_.end() && at->second->rows() == part.x.rows) return at->second;
    auto rows = std::make_shared<const linear::DeviceMatrix>(part, workers);
    const size_t other = kSpare + 4 * w_on_device_->bytes() + 4 * part.x.rows * block_ * sizeof(double);
    if (!last_ && device_->free() > rows->bytes() + other) stay_[first] = rows;
    return rows;
  }

  // Adds what rows of Y_last and of another Y give to the elements of T at (used.., to..).
  void couple(const linear::Coefficients& left, const Matrix& y, size_t to, const linear::Workers& workers) {
    linear::combine(left, linear::Part(y), false, workers,
                    [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                      for (size_t i = 0; i < rows; ++i)
                        for (size_t j = 0; j < cols; ++j) at(used_ + row + i, to + col + j) += sums[i * stride + j];
                    });
  }

  // Of the columns, after the first pass.
  void settle() {
    found_.mean = moments_.mean();
    if (!(moments_.scatter() > 0))
      throw Error("ERR_PCA_NO_VARIANCE", "All rows of the embedding matrix are equal: there is nothing to reduce.");
  }

  // Rows went by less the mean of the first block, which is off the mean of all by `drift`: not by more than a few
  // times what rows are spread. As the sum of the rows of Y is 0 then, the correction of W is one product.
  void centre() {
    const size_t d = task.cols, n = task.rows;
    Y& y = y_.back();
    std::vector<double> along(block_, 0);
    pool_.for_blocks(block_, 1, [&](unsigned, size_t c, size_t) {
      for (size_t j = 0; j < d; ++j) along[c] += static_cast<double>(v_[(used_ + c) * d + j]) * moments_.drift(j);
      if (!last_)
        for (size_t j = 0; j < d; ++j) w_[c * d + j] -= static_cast<double>(n) * along[c] * moments_.drift(j);
    });
    pool_.for_blocks(n, kRows, [&](unsigned, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t c = 0; c < block_; ++c)
          y.data()[i * block_ + c] = static_cast<float>(static_cast<double>(y.data()[i * block_ + c]) - along[c]);
    });
    if (!last_) return;
    for (size_t i = 0; i < block_; ++i)
      for (size_t j = 0; j < block_; ++j) at(used_ + i, used_ + j) -= static_cast<double>(n) * along[i] * along[j];
  }

  // Each of the first `count` rows of w times all vectors: [count, used].
  std::vector<double> products(size_t count, const linear::Workers& workers) {
    std::vector<double> out(count * used_);
    // The vectors are many: it is w that is laid out anew.
    const linear::Panels panels(linear::Part({w_.data(), true, count, task.cols}), workers);
    linear::project(vectors_from(0, used_), panels, linear::kAll, workers,
                    [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                      for (size_t i = 0; i < rows; ++i)
                        for (size_t c = 0; c < cols; ++c) out[(col + c) * used_ + row + i] = sums[i * stride + c];
                    });
    return out;
  }

  // Takes out of the first rows of w what `along` [count, used] says that they have of the vectors.
  void subtract(const std::vector<double>& along, size_t count, const linear::Workers& workers) {
    if (used_ == 0) return;
    linear::Coefficients left(count, used_);
    for (size_t c = 0; c < count; ++c)
      for (size_t q = 0; q < used_; ++q) left.row(c)[q] = static_cast<float>(along[c * used_ + q]);
    linear::combine(left, vectors_from(0, used_), false, workers,
                    [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                      for (size_t c = 0; c < rows; ++c)
                        for (size_t j = 0; j < cols; ++j) w_[(row + c) * task.cols + col + j] -= sums[c * stride + j];
                    });
  }

  // Makes of w the next orthonormal vectors, and returns how many there are (Stathopoulos and Wu 2002, SVQB:
  // eigenvectors of the vectors' own Gram matrix, again until rounding is all that is left).
  size_t orthonormal(const linear::Workers& workers) {
    const size_t d = task.cols;
    // those of `along_` that there is room for
    size_t count = found_.passes == 0 ? width(0) : std::min(block_, most_ - used_);
    const std::vector<double> lengths = lengths_of(count);
    double scale = count == 0 ? 0 : *std::max_element(lengths.begin(), lengths.end());
    for (int round = 0; round < kRounds; ++round) {
      if (used_ != 0) subtract(round == 0 ? along_ : products(count, workers), count, workers);
      count = normalise_rows(count, kNothing * scale);
      if (count == 0) return 0;
      scale = 1;
      linear::Part part({w_.data(), true, count, d});
      const linear::Panels panels(part, workers);
      if (panels.held() != nullptr) part.held = panels.held()->matrix.get();
      Buffer<double> gram(count * count);
      double off = 0;
      linear::project(part, panels, 0, workers,
                      [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                        for (size_t i = 0; i < rows; ++i)
                          std::copy_n(sums + i * stride, cols, &gram[(row + i) * count + col]);
                      });
      for (size_t i = 0; i < count; ++i) {
        for (size_t j = 0; j < i; ++j) {
          off = std::max(off, std::fabs(gram[i * count + j]));
          gram[j * count + i] = gram[i * count + j];
        }
      }
      if (off < kOrthonormal && round > 0) break;
      const linear::Eigen e = linear::eigen(gram, count, count, pool_, workers.control, doubles_kernel(task.simd));
      size_t firm = 0;
      while (firm < count && e.values[firm] > kNoise * e.values[0]) ++firm;
      linear::Coefficients left(firm, count);
      for (size_t q = 0; q < firm; ++q)
        for (size_t c = 0; c < count; ++c)
          left.row(q)[c] = static_cast<float>(e.vectors[q * count + c] / std::sqrt(e.values[q]));
      // columns of w by groups: a group is read before it is written
      linear::combine(left, part, false, workers,
                      [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                        for (size_t q = 0; q < rows; ++q)
                          std::copy_n(sums + q * stride, cols, &w_[(row + q) * d + col]);
                      });
      count = firm;
    }
    pool_.for_blocks(count, 1, [&](unsigned, size_t c, size_t) {
      for (size_t j = 0; j < d; ++j) v_[(used_ + c) * d + j] = static_cast<float>(w_[c * d + j]);
    });
    return count;
  }

  std::vector<double> lengths_of(size_t count) {
    std::vector<double> lengths(count);
    pool_.for_blocks(count, 1, [&](unsigned, size_t c, size_t) {
      const double* const w = &w_[c * task.cols];
      lengths[c] = std::sqrt(doubles_kernel(task.simd).dot(w, w, task.cols));
    });
    return lengths;
  }

  // Moves the rows of w together that are longer than `nothing`, and makes them 1 long; returns how many these are.
  size_t normalise_rows(size_t count, double nothing) {
    const size_t d = task.cols;
    const std::vector<double> lengths = lengths_of(count);
    std::vector<double> kept;
    for (size_t c = 0; c < count; ++c) {
      if (!(lengths[c] > nothing)) continue;
      if (kept.size() != c) std::copy_n(&w_[c * d], d, &w_[kept.size() * d]);
      kept.push_back(lengths[c]);
    }
    pool_.for_blocks(kept.size(), 1, [&](unsigned, size_t k, size_t) {
      for (size_t j = 0; j < d; ++j) w_[k * d + j] /= kept[k];
    });
    return kept.size();
  }

  // Whether a pass without W is enough, and for how many vectors. What blocks add to the captured variance shrinks from
  // one to the next by a ratio that falls itself, so what later ones would add follows from the last few.
  struct Rest {
    bool last;
    size_t vectors;
  };

  Rest rest(const Control& control) {
    if (used_ + block_ >= most_) return {true, block_};
    if (used_ < task.dims) return {false, block_};
    Buffer<double> a(used_ * used_);
    project_to(a);
    const linear::Eigen e = linear::eigen(a, used_, 0, pool_, control, doubles_kernel(task.simd));
    double sum = 0;
    for (size_t i = 0; i < task.dims; ++i) sum += std::max(0.0, e.values[i]);
    captured_.push_back(sum);
    const size_t s = captured_.size();
    if (s < 3) return {false, block_};
    const auto gain = [&](size_t i) { return captured_[i] - captured_[i - 1]; };
    const auto shrinks = [&](size_t i) { return gain(i - 1) > 0 ? std::min(gain(i) / gain(i - 1), 0.99) : 0; };
    // the ratio falls, if it fell
    const double ratio = shrinks(s - 1);
    const double faster = s > 3 && shrinks(s - 2) > 0 ? std::min(ratio / shrinks(s - 2), 1.0) : 1;
    const double next = ratio * faster, later = next * faster;
    const double added = gain(s - 1) * next;  // by the next block
    const double missing = added / (1 - next) / sum, then = added * later / (1 - later) / sum;
    if (missing <= kTolerance) return {true, 0};
    if (then > kTolerance) return {false, block_};
    // a part of the block leaves that power of the shrinkage
    const double part = std::log(missing / kTolerance) / std::log(missing / then);
    return {true, std::min(block_, static_cast<size_t>(std::ceil(part * static_cast<double>(block_))))};
  }

  // T of the vectors so far, [used, used], to `a`, which may be `t_` itself: no element is written before it is read.
  void project_to(Buffer<double>& a) {
    for (size_t i = 0; i < used_; ++i)
      for (size_t j = 0; j <= i; ++j) a[i * used_ + j] = at(i, j);
    for (size_t i = 0; i < used_; ++i)
      for (size_t j = 0; j < i; ++j) a[j * used_ + i] = a[i * used_ + j];
  }

  void finish(const linear::Workers& workers) {
    const size_t d = task.cols;
    w_ = {};
    project_to(t_);
    const linear::Eigen e =
        linear::eigen(t_, used_, std::min(task.dims, used_), pool_, workers.control, doubles_kernel(task.simd));
    t_ = {};
    const size_t k = describe(e.values, moments_.scatter(), task.rows, task.dims, found_);
    linear::Coefficients left(k, used_);
    for (size_t q = 0; q < k; ++q)
      for (size_t c = 0; c < used_; ++c) left.row(q)[c] = static_cast<float>(e.vectors[q * used_ + c]);
    make_vectors(k);
    linear::combine(left, vectors_from(0, used_), false, workers,
                    [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                      for (size_t q = 0; q < rows; ++q)
                        for (size_t j = 0; j < cols; ++j)
                          found_.vectors[(row + q) * d + col + j] = static_cast<float>(sums[q * stride + j]);
                    });
    const std::vector<char> turned = normalise(found_.vectors.data(), k, d, pool_);
    ritz_ = Buffer<float>(k * used_);
    for (size_t q = 0; q < k; ++q)
      for (size_t c = 0; c < used_; ++c) ritz_[q * used_ + c] = turned[q] != 0 ? -left.row(q)[c] : left.row(q)[c];
    v_ = {};
    v_on_device_.reset();
    w_on_device_.reset();
    stay_.clear();
    done_ = true;
  }

  Moments moments_;
  const size_t most_;  // dimensions of the space
  size_t used_ = 0;    // dimensions whose products with C are known
  size_t block_ = 0;   // vectors of this pass
  size_t next_ = 0;    // vectors of the next one
  bool last_ = false, done_ = false;
  Buffer<float> v_;   // [most, d]
  Buffer<double> w_;  // [block, d]
  Buffer<double> t_;  // V^T C V [most, most], lower triangle
  std::vector<double> along_, captured_;
  std::vector<Y> y_;
  std::unique_ptr<linear::Panels> vectors_;  // of this pass
  Buffer<float> ritz_;                       // [k, used]
  // The same on a device: of V the rows of this pass and before, of W the sums of this pass; and rows of X, by the
  // first.
  std::unique_ptr<linear::DeviceMatrix> v_on_device_, w_on_device_;
  std::map<size_t, std::shared_ptr<const linear::DeviceMatrix>> stay_;
};

}  // namespace

std::unique_ptr<PcaFit> krylov_fit(const PcaTask& task) {
  return std::make_unique<KrylovFit>(task);
}

}  // namespace coregain::reduce
