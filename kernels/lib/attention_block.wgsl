// Attention in the lanes of a subgroup, for devices that compute on the CPU: no workgroup memory, no barrier, few loads.
//
// A workgroup holds 32 rows of one head, four a lane (a vec4). The rows that these meet come in blocks of 32: each of the
// first eight lanes loads one channel of four of them and the subgroup shuffles them round, so that every number loaded
// meets 32 rows. All loads come before the arithmetic, since each is a loop over the lanes there. What belongs to a block
// stays in registers (loops of constant length, which compilers unroll); sums of channels are a private array of one vec4 a
// channel, touched once a block. Such arrays compile slowly: a head of more than CHANNELS channels is shared by several
// workgroups, which compute the scores anew.
// The kernel that includes this declares params (heads, head_size). Needs subgroups of at least 8 lanes, the first 8 of
// which exist.
enable subgroups;
//! const CHANNELS
override WORKGROUP: u32 = 8;

const BLOCK = 32u;
const LOADS = 4u;

// [j]: of row j of a block and each of the lane's four rows.
alias Block = array<vec4f, BLOCK>;
// [l]: what this lane read of row 8 * l + lane % 8 of a block.
alias Loaded = array<f32, LOADS>;

// What a workgroup computes: some channels of 32 rows of one head, of an item of the batch or of a context.
struct Part {
  first_row: u32,
  first_channel: u32,
  channels: u32,
  head: u32,
  item: u32,
}

fn part_of(index: u32, rows: u32) -> Part {
  let blocks = (rows + 4u * WORKGROUP - 1u) / (4u * WORKGROUP);
  let slices = (params.head_size + CHANNELS - 1u) / CHANNELS;
  let first_channel = index / blocks % slices * CHANNELS;
  let head_index = index / blocks / slices;
  return Part(
    index % blocks * 4u * WORKGROUP,
    first_channel,
    min(CHANNELS, params.head_size - first_channel),
    head_index % params.heads,
    head_index / params.heads,
  );
}

// The four rows of a lane: neighbours lie in neighbouring lanes.
fn rows_of_lane(part: Part, local: u32) -> vec4u {
  return part.first_row + local + vec4u(0u, 1u, 2u, 3u) * WORKGROUP;
}

// sums + products of the lane's rows with the block's, of one channel.
fn add_products(sums: ptr<function, Block>, x: vec4f, y: ptr<function, Loaded>) {
  for (var l = 0u; l < LOADS; l++) {
    for (var i = 0u; i < 8u; i++) {
      (*sums)[8u * l + i] += x * subgroupShuffle((*y)[l], i);
    }
  }
}

// sum + one channel of the block's rows, weighted for each of the lane's rows.
fn add_weighted(sum: vec4f, weights: ptr<function, Block>, y: ptr<function, Loaded>) -> vec4f {
  var result = sum;
  for (var l = 0u; l < LOADS; l++) {
    for (var i = 0u; i < 8u; i++) {
      result += (*weights)[8u * l + i] * subgroupShuffle((*y)[l], i);
    }
  }
  return result;
}
