// SSIM of 8-bit maps (Wang et al. 2004, as scikit-image's structural_similarity with its defaults for uint8):
// mean over all 7 x 7 windows inside the map of
//   (2 ma mb + C1) (2 cov_ab + C2) / ((ma^2 + mb^2 + C1) (var_a + var_b + C2))
// with means m, sample variances and covariance (divided by 48), C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2.
//
// a, b [P, r, r] whole numbers 0 to 255
// ssim [P]; s [P] clipped to [0, 1]
// One workgroup a pair; an invocation goes down a band of BAND rows of STRIP adjacent windows, adds the row that comes into
// them and takes off the row that leaves. All sums are integers below 2^24, exact in f32; the mean is summed in f32.
// Workgroup memory 4 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/reduce.wgsl
override WORKGROUP: u32 = 64;

const WINDOW = 7u;
const STRIP = 4u;
const BAND = 16u;
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

// The ten columns of a strip: those in the middle are in all of its windows.
struct Columns {
  left: vec3<u32>,
  middle: vec4<u32>,
  right: vec3<u32>,
}

// Values in them.
struct Row {
  left: vec3<f32>,
  middle: vec4<f32>,
  right: vec3<f32>,
}

// Sums over the windows of a strip.
struct Sums {
  a: vec4<f32>,
  b: vec4<f32>,
  aa: vec4<f32>,
  bb: vec4<f32>,
  ab: vec4<f32>,
}

// Past the map's edge the last column stands in: the windows that it is in are not counted.
fn strip_columns(first: u32) -> Columns {
  let last = params.side - 1u;
  let left = first + vec3(0u, 1u, 2u);
  return Columns(min(left, vec3(last)), min(first + vec4(3u, 4u, 5u, 6u), vec4(last)), min(left + WINDOW, vec3(last)));
}

fn row_of_a(start: u32, at: Columns) -> Row {
  let left = vec3(a[start + at.left.x], a[start + at.left.y], a[start + at.left.z]);
  let middle = vec4(a[start + at.middle.x], a[start + at.middle.y], a[start + at.middle.z], a[start + at.middle.w]);
  return Row(left, middle, vec3(a[start + at.right.x], a[start + at.right.y], a[start + at.right.z]));
}

fn row_of_b(start: u32, at: Columns) -> Row {
  let left = vec3(b[start + at.left.x], b[start + at.left.y], b[start + at.left.z]);
  let middle = vec4(b[start + at.middle.x], b[start + at.middle.y], b[start + at.middle.z], b[start + at.middle.w]);
  return Row(left, middle, vec3(b[start + at.right.x], b[start + at.right.y], b[start + at.right.z]));
}

// Sums of the products of two rows over the columns of each window.
fn row_sums(p: Row, q: Row) -> vec4<f32> {
  let left = p.left * q.left;
  let right = p.right * q.right;
  let left_two = left.y + left.z;
  let right_two = right.x + right.y;
  return dot(p.middle, q.middle) + vec4(left.x + left_two, left_two + right.x, left.z + right_two, right_two + right.z);
}

fn add_row(sums: Sums, start: u32, at: Columns, sign: f32) -> Sums {
  let ones = Row(vec3(1.0), vec4(1.0), vec3(1.0));
  let p = row_of_a(start, at);
  let q = row_of_b(start, at);
  return Sums(
    sums.a + sign * row_sums(p, ones),
    sums.b + sign * row_sums(q, ones),
    sums.aa + sign * row_sums(p, p),
    sums.bb + sign * row_sums(q, q),
    sums.ab + sign * row_sums(p, q),
  );
}

// Sample variance or covariance from sums, in integers: nothing cancels.
fn spread(products: vec4<f32>, product_of_sums: vec4<i32>) -> vec4<f32> {
  return vec4<f32>(N * vec4<i32>(products) - product_of_sums) / f32(N * (N - 1));
}

fn window_ssim(sums: Sums) -> vec4<f32> {
  let sum_a = vec4<i32>(sums.a);
  let sum_b = vec4<i32>(sums.b);
  let mean_a = sums.a / f32(N);
  let mean_b = sums.b / f32(N);
  let luminance = (2.0 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1);
  let variances = spread(sums.aa, sum_a * sum_a) + spread(sums.bb, sum_b * sum_b);
  return luminance * (2.0 * spread(sums.ab, sum_a * sum_b) + C2) / (variances + C2);
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
  let side = params.side;
  let windows = side - WINDOW + 1u;
  let strips = (windows + STRIP - 1u) / STRIP;
  let bands = (windows + BAND - 1u) / BAND;
  var total = vec4<f32>();
  for (var i = local; i < strips * bands; i += WORKGROUP) {
    let column = i % strips * STRIP;
    let top = i / strips * BAND;
    let columns = strip_columns(column);
    let counted = column + vec4(0u, 1u, 2u, 3u) < vec4(windows);
    let rows = min(BAND, windows - top) + WINDOW - 1u;
    var start = (map * side + top) * side;
    var sums = Sums();
    for (var row = 1u; row <= rows; row++) {
      // In a loop, since compilers put add_row's code wherever it is called.
      let moved = select(1u, 2u, row > WINDOW);
      for (var leaving = 0u; leaving < moved; leaving++) {
        sums = add_row(sums, start - leaving * WINDOW * side, columns, 1.0 - 2.0 * f32(leaving));
      }
      if (row >= WINDOW) {
        total += select(vec4(0.0), window_ssim(sums), counted);
      }
      start += side;
    }
  }
  let mean = workgroup_sum(dot(total, vec4(1.0)), local) / f32(windows * windows);
  if (local == 0u) {
    ssim[map] = mean;
    s[map] = clamp(mean, 0.0, 1.0);
  }
}
