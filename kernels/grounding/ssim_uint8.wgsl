// SSIM of 8-bit maps (Wang et al. 2004, as scikit-image's structural_similarity with its defaults for uint8):
// mean over all 7 x 7 windows inside the map of
//   (2 ma mb + C1) (2 cov_ab + C2) / ((ma^2 + mb^2 + C1) (var_a + var_b + C2))
// with means m, sample variances and covariance (divided by 48), C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2.
//
// a, b [P, r, r] whole numbers 0 to 255
// ssim [P]; s [P] clipped to [0, 1]
// One workgroup a pair. Sums of a window are integers, so variances do not cancel; their mean is summed in f32.
// Workgroup memory 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
override WORKGROUP: u32 = 256;

const WINDOW = 7u;
const N = i32(WINDOW * WINDOW);
const C1 = 6.5025;
const C2 = 58.5225;

struct Params {
  maps: u32,
  side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> ssim: array<f32>;
@group(0) @binding(4) var<storage, read_write> s: array<f32>;

fn window_ssim(first: u32) -> f32 {
  var sum = vec2<i32>(); // of a, b
  var squares = vec3<i32>(); // of a a, b b, a b
  // Always WINDOW, but unknown to the compiler: it would unroll 49 reads, which LLVM takes seconds to digest.
  let window = min(WINDOW, params.side);
  for (var i = 0u; i < window; i++) {
    for (var j = 0u; j < window; j++) {
      let at = first + i * params.side + j;
      let pair = vec2(i32(a[at]), i32(b[at]));
      sum += pair;
      squares += vec3(pair * pair, pair.x * pair.y);
    }
  }
  let mean = vec2<f32>(sum) / f32(N);
  let spread = vec3<f32>(N * squares - vec3(sum * sum, sum.x * sum.y)) / f32(N * (N - 1));
  let luminance = (2.0 * mean.x * mean.y + C1) / (dot(mean, mean) + C1);
  let structure = (2.0 * spread.z + C2) / (spread.x + spread.y + C2);
  return luminance * structure;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let map = flat_workgroup(workgroup, workgroups);
  if (map >= params.maps) {
    return;
  }
  let base = map * params.side * params.side;
  let windows = params.side - WINDOW + 1u;
  var sum = 0.0;
  for (var i = local; i < windows * windows; i += WORKGROUP) {
    sum += window_ssim(base + i / windows * params.side + i % windows);
  }
  let mean = workgroup_sum(sum, local) / f32(windows * windows);
  if (local == 0u) {
    ssim[map] = mean;
    s[map] = clamp(mean, 0.0, 1.0);
  }
}
